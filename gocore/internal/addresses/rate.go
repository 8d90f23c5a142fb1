// How many requests an address may send: a token bucket for each, in the one table of all workers.
//
// A bucket is the time at which it will be full again, so taking a token is one atomic step (the generic cell rate algorithm). A full
// bucket is the same as none. So the bucket that is full first is given up for a new address, which loses nothing if it is full already,
// and otherwise spares its client a refusal.

package addresses

import (
	"math"
	"sync/atomic"
	"time"

	"saltare/gocore/internal/limits"
)

// Rate is how fast a bucket fills, and how long that takes from empty.
type Rate struct{ Token, Full time.Duration }

// RateOf is the rate of so many tokens per second, in a bucket of burst tokens.
func RateOf(perSecond, burst uint32) Rate {
	token := time.Second / time.Duration(perSecond)
	return Rate{token, token * time.Duration(burst)}
}

type bucket struct {
	key  atomic.Uint64 // 0: free
	full atomic.Int64  // when it will be full, in nanoseconds since the machine was started
}

type buckets [sets][limits.AddressWays]bucket

// Take takes a token of the address at a time since the machine was started; ok is false if there is none.
func (t *Table) Take(k Key, r Rate, now time.Duration) (ok bool) {
	for {
		b := t.bucketOf(k)
		full := b.full.Load()
		next := max(full, int64(now)) + int64(r.Token)
		if next > int64(now+r.Full) {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

// bucketOf finds the bucket of the address, or makes it one. Another process may do the same at this moment: then a token too many is
// taken, or one too few.
func (t *Table) bucketOf(k Key) *bucket {
	set := &t.buckets[t.set(k)]
	for {
		first, least := (*bucket)(nil), int64(math.MaxInt64)
		for i := range set {
			b := &set[i]
			if b.key.Load() == uint64(k) {
				return b
			}
			if full := b.full.Load(); full < least {
				first, least = b, full
			}
		}
		if old := first.key.Load(); first.key.CompareAndSwap(old, uint64(k)) {
			first.full.CompareAndSwap(least, 0) // or another process has just taken a token from it
			return first
		}
	}
}
