// The figures behind the metrics: a second table, behind the slots, which is there only where metrics are on.

package counters

import (
	"unsafe"

	"saltare/gocore/internal/limits"
)

// Figures are those of one slot. A worker continues where the last one in its slot has ended, so sums over all slots never shrink.
//
// Only the slot's worker writes, under the lock of its server and without atomic operations: each word is aligned, so other processes
// read it whole.
type Figures struct {
	Requests          [Methods]uint64
	Responses         [Classes]uint64 // by the first digit of the status, minus 1
	Latency, Queue    Histogram
	Refusals          [limits.MostReasons]uint64
	Closes            [limits.MostReasons]uint64
	Accepted          uint64
	BytesIn, BytesOut uint64
	WebSockets        uint64
	MessagesIn        uint64
	MessagesOut       uint64
	Busy              uint64 // nanoseconds that the app has kept the loop
	Stalls            uint64 // turns of the app longer than limits.Stall
	LinesLost         uint64 // of the access log
	Now               Now
}

// Now is the part that is not summed: it is about the worker that is in the slot.
type Now struct {
	Number      uint64 // of the worker, from 1
	OpenSockets uint64 // websockets
	Longest     [2]uint64
	Window      uint64 // the window of limits.StallWindow that Longest[0] is about; Longest[1] is about the one before
}

// Compile-time check of the size.
const _ = uint(limits.FigureBytes - unsafe.Sizeof(Figures{}))

// The methods and classes that are told apart.
const (
	Methods = 8
	Classes = 5
)

// MethodNames are the labels; other methods are the last.
var MethodNames = [Methods]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}

// Method is the index of a method in MethodNames.
func Method(method []byte) int {
	for i := range Methods - 1 {
		if string(method) == MethodNames[i] {
			return i
		}
	}
	return Methods - 1
}

// Histogram counts values by upper bounds, which the caller knows; the last bucket is for values above all bounds.
type Histogram struct {
	Buckets     [limits.MostBuckets + 1]uint64
	Nanoseconds uint64 // their sum
}

// Add counts a value. Bounds are in nanoseconds, ascending, limits.MostBuckets at most.
func (h *Histogram) Add(bounds []int64, ns int64) {
	i := 0
	for i < len(bounds) && ns > bounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Nanoseconds += uint64(max(ns, 0))
}

// Turn counts a turn of the app that took ns, at a time in milliseconds since 1970.
func (f *Figures) Turn(ns, ms int64) {
	if ns <= 0 {
		return
	}
	f.Busy += uint64(ns)
	if ns > int64(limits.Stall) {
		f.Stalls++
	}
	now := &f.Now
	if window := uint64(ms / limits.StallWindow.Milliseconds()); window != now.Window {
		now.Longest[1] = 0
		if window == now.Window+1 {
			now.Longest[1] = now.Longest[0]
		}
		now.Window, now.Longest[0] = window, 0
	}
	now.Longest[0] = max(now.Longest[0], uint64(ns))
}

// LongestAt is the longest turn of the app in nanoseconds, in the current window and the one before.
func (n *Now) LongestAt(ms int64) uint64 {
	switch uint64(ms/limits.StallWindow.Milliseconds()) - n.Window {
	case 0:
		return max(n.Longest[0], n.Longest[1])
	case 1:
		return n.Longest[0]
	}
	return 0
}

// words views the sums, which are all of f but Now.
func (f *Figures) words() []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(f)), unsafe.Offsetof(f.Now)/unsafe.Sizeof(uint64(0)))
}

// Sum adds up the figures of all slots, those of ended workers included.
func (t *Table) Sum(to *Figures) {
	*to = Figures{}
	sums := to.words()
	for i := range t.slots {
		for j, word := range t.FiguresOf(i).words() {
			sums[j] += word
		}
	}
}

// FiguresOf is the figures of slot i, from 0; the table must have some.
func (t *Table) FiguresOf(i int) *Figures {
	return (*Figures)(unsafe.Pointer(&t.figures[i*limits.FigureBytes]))
}

// Slots are those of all workers, used or not.
func (t *Table) Slots() []Slot { return t.slots }

// Figures is ours; nil: metrics are off.
func (t *Table) Figures() *Figures {
	if t.figures == nil {
		return nil
	}
	return t.FiguresOf(t.number - 1)
}

// BusyFor is how long the worker's current turn has lasted, in milliseconds; 0: it waits, or does not tell.
func (s *Slot) BusyFor(ms int64) int64 {
	turn := s.turn.Load()
	if s.waiting.Load() != 0 || turn == 0 {
		return 0
	}
	return max(ms-turn, 0)
}
