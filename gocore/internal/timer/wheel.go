// Package timer is a hashed timer wheel for records that are known by number.
//
// The wheel is lazy: a deadline that moves away keeps its slot, and is checked again when its old time comes or in a quiet
// period. So the hot path, in which deadlines only move away, never touches the wheel.
package timer

import (
	"math/bits"

	"saltare/gocore/internal/limits"
)

// Node links a record into a slot. Its zero value is in no slot.
type Node struct {
	next, prev uint32 // number + 1
	at         uint32 // tick + 1; 0: not in the wheel
}

// Armed tells whether the node is in the wheel.
func (n *Node) Armed() bool { return n.at != 0 }

// At is the tick at which the record is checked.
func (n *Node) At() uint32 { return n.at - 1 }

const (
	slots = limits.WheelSlots
	mask  = slots - 1
)

// Compile-time check that slots is a power of two and that a slot bitmap has whole words.
const _ = uint(-(slots & mask))
const _ = uint(-(slots % 64))

// Wheel keeps records by tick, and finds them through Node.
type Wheel struct {
	Node  func(i uint32) *Node
	now   uint32 // all ticks up to this one have run
	count int
	heads [slots]uint32
	used  [slots / 64]uint64
}

// Arm schedules a check of record i at tick at, or earlier if one is scheduled. It never moves a record to a later tick.
func (w *Wheel) Arm(i uint32, n *Node, at uint32) {
	at = max(at, w.now+1)
	at = min(at, w.now+slots-1)
	if n.at != 0 {
		if n.at-1 <= at {
			return
		}
		w.Remove(i, n)
	}
	slot := at & mask
	n.at, n.prev, n.next = at+1, 0, w.heads[slot]
	if n.next != 0 {
		w.Node(n.next - 1).prev = i + 1
	}
	w.heads[slot] = i + 1
	w.used[slot/64] |= 1 << (slot % 64)
	w.count++
}

// Remove takes record i out of the wheel, if it is there.
func (w *Wheel) Remove(i uint32, n *Node) {
	if n.at == 0 {
		return
	}
	slot := (n.at - 1) & mask
	if n.next != 0 {
		w.Node(n.next - 1).prev = n.prev
	}
	if n.prev != 0 {
		w.Node(n.prev - 1).next = n.next
	} else if w.heads[slot] = n.next; n.next == 0 {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
	*n = Node{}
	w.count--
}

// Run removes every record whose tick is at most now and passes it to fire, which may arm it again.
func (w *Wheel) Run(now uint32, fire func(i uint32)) {
	for w.count > 0 {
		at, ok := w.Next()
		if !ok || at > now {
			break
		}
		w.now = at
		for i := w.heads[at&mask]; i != 0; i = w.heads[at&mask] {
			w.Remove(i-1, w.Node(i-1))
			fire(i - 1)
		}
	}
	w.now = max(w.now, now)
}

// Next is the earliest tick of any record; ok is false if the wheel is empty.
func (w *Wheel) Next() (at uint32, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	start := (w.now + 1) & mask
	word, bit := start/64, start%64
	for k := uint32(0); k <= slots/64; k++ {
		set := w.used[(word+k)%(slots/64)]
		if k == 0 {
			set &= ^uint64(0) << bit
		}
		if set != 0 {
			slot := (word+k)%(slots/64)*64 + uint32(bits.TrailingZeros64(set))
			return w.now + 1 + (slot-start)&mask, true
		}
	}
	return 0, false
}
