// How many connections each address has: each worker counts its own, and reads those of all others.

package addresses

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// count is the connections that one address has to one worker.
type count struct {
	key atomic.Uint64 // 0: free
	n   atomic.Uint32
	_   uint32
}

// connections are the counts of one worker.
type connections [sets][limits.AddressWays]count

// clear removes what an earlier worker has left in our slot, and gives back its pages.
func (c *connections) clear(memory []byte) {
	if unix.Madvise(memory, unix.MADV_REMOVE) == nil {
		return
	}
	for i := range c {
		for j := range c[i] {
			c[i][j].n.Store(0)
			c[i][j].key.Store(0)
		}
	}
}

func (c *connections) find(set int, k Key) *count {
	for i := range c[set] {
		if one := &c[set][i]; one.key.Load() == uint64(k) {
			return one
		}
	}
	return nil
}

// Connections is how many connections the address has to all workers.
func (t *Table) Connections(k Key) (n uint32) {
	set := t.set(k)
	for i := range t.counts {
		if t.counted[i].Load() == 0 {
			continue
		}
		if one := t.counts[i].find(set, k); one != nil {
			n += one.n.Load()
		}
	}
	return n
}

// Enter counts a connection to us. If all entries of its set are in use, the one with the fewest connections is given up.
func (t *Table) Enter(k Key) {
	t.counted[t.own].Store(1)
	set := t.set(k)
	own := &t.counts[t.own]
	if one := own.find(set, k); one != nil {
		one.n.Add(1)
		return
	}
	least := &own[set][0]
	for i := range own[set] {
		if one := &own[set][i]; one.n.Load() < least.n.Load() {
			least = one
		}
	}
	least.n.Store(1)
	least.key.Store(uint64(k))
}

// Leave takes back a count, if it was not given up.
func (t *Table) Leave(k Key) {
	one := t.counts[t.own].find(t.set(k), k)
	if one == nil {
		return
	}
	if one.n.Load() > 1 {
		one.n.Add(^uint32(0))
		return
	}
	one.key.Store(0)
	one.n.Store(0)
}
