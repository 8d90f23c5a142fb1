// Where the entries of an address are: in one set, which its key and the table's seed choose.

package addresses

import (
	"math/bits"

	"saltare/gocore/internal/limits"
)

const sets = limits.Addresses / limits.AddressWays

// Compile-time check that the number of sets is a power of two.
const _ = -(sets & (sets - 1))

func (t *Table) set(k Key) int {
	high, low := bits.Mul64(uint64(k)^t.seed, 0x9e3779b97f4a7c15^bits.Reverse64(t.seed)|1)
	return int((high ^ low) % sets)
}
