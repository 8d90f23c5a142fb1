// Package counters is the table of counters shared by the workers of one master.
//
// The master creates it, an anonymous file, before it forks; every worker maps it. Only a slot's worker writes to it, without locks, and
// all read it; the master writes only the state of a free slot, and the bell. saltare/prefork/counters.py has the same layout.
//
// The counters also balance connections: a worker that has more of them than another one leaves a waiting connection to that worker and
// rings its bell, an eventfd. Of 4 workers with 64 kept connections, the busiest then handled 1.0 to 1.1 times the mean; 2.3 to 4.0 times
// when the worker woken by the kernel accepted them (EPOLLEXCLUSIVE), and 1.1 to 1.4 times with a socket per worker (SO_REUSEPORT), which
// does not work for Unix sockets and leaves connections queued behind a busy worker.
package counters

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

// States of a slot.
const (
	Free    = 0
	Taken   = 1 // by the master, for a worker that does not serve yet
	Serving = 2
	Leaving = 3
)

const version = 3

var magic = [4]byte([]byte("SALT"))

// Slot is the counters of one worker. Times are milliseconds of the wall clock.
type Slot struct {
	State atomic.Uint32
	PID   atomic.Uint32
	Bell  atomic.Int32 // descriptor, equal in all workers

	waiting atomic.Uint32 // 1 while it waits for events
	turn    atomic.Int64  // when its current turn began

	Connections, Streams        atomic.Uint64 // now
	Requests, Accepted, Refused atomic.Uint64 // since it was forked
	LinesLost                   atomic.Uint64 // of the access log, since then

	_ [limits.SlotBytes - 72]byte
}

// Compile-time check that each slot has cache lines of its own.
const _ = -(unsafe.Sizeof(Slot{}) - limits.SlotBytes)

// Table is the mapped table and our own slot.
type Table struct {
	memory  []byte
	slots   []Slot
	figures []byte // nil: there are none
	own     *Slot
	number  int // of own, from 1
}

// Open maps the table in fd; own is the number of our slot, 1 or more. The caller keeps fd.
func Open(fd, own int) (*Table, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	if stat.Size < int64(headBytes) {
		return nil, unix.EINVAL
	}
	memory, err := pool.MapShared(fd, int(stat.Size))
	if err != nil {
		return nil, err
	}
	table := of(memory, own)
	if table == nil {
		pool.Unmap(memory)
		return nil, unix.EINVAL
	}
	return table, nil
}

// Alone makes a table, with figures, for a server that is no worker.
func Alone() (*Table, error) {
	const n = 2
	memory, err := pool.Map(n*limits.SlotBytes + (n-1)*limits.FigureBytes)
	if err != nil {
		return nil, err
	}
	*(*head)(unsafe.Pointer(&memory[0])) = head{magic: magic, version: version, slots: n - 1, layout: 1}
	table := of(memory, 1)
	table.Enter()
	return table, nil
}

// of is the table in mapped memory; nil: it is none of ours.
func of(memory []byte, own int) *Table {
	h := (*head)(unsafe.Pointer(&memory[0]))
	n, size := int(h.slots)+1, len(memory)
	if h.magic != magic || h.version != version || own < 1 || own >= n || size < n*limits.SlotBytes {
		return nil
	}
	slots := unsafe.Slice((*Slot)(unsafe.Pointer(h)), n)
	t := &Table{memory: memory, slots: slots[1:], own: &slots[own], number: own}
	if h.layout != 0 {
		if size < n*limits.SlotBytes+(n-1)*limits.FigureBytes {
			return nil
		}
		t.figures = memory[n*limits.SlotBytes:]
	}
	return t
}

func (t *Table) Close() { pool.Unmap(t.memory) }

// head is the beginning of the table, in place of slot 0's state. Only the master writes it.
type head struct {
	magic   [4]byte
	version uint32
	slots   uint32
	unready atomic.Uint32
	layout  uint32        // of the figures, as the master knows it; 0: there are none
	lost    atomic.Uint64 // workers that have ended unexpectedly
}

const headBytes = unsafe.Sizeof(head{})

func (t *Table) head() *head { return (*head)(unsafe.Pointer(&t.memory[0])) }

// Lost is the number of workers that have ended unexpectedly.
func (t *Table) Lost() uint64 { return t.head().lost.Load() }

// Unready is 1 once the master is about to stop all workers.
func (t *Table) Unready() *atomic.Uint32 { return &t.head().unready }

// Own is our slot.
func (t *Table) Own() *Slot { return t.own }

// Enter publishes that we serve.
func (t *Table) Enter() {
	t.own.PID.Store(uint32(os.Getpid()))
	t.own.State.Store(Serving)
}

// Leave publishes that we no longer accept.
func (t *Table) Leave() { t.own.State.Store(Leaving) }

// Waits publishes that we wait for events.
func (t *Table) Waits() { t.own.waiting.Store(1) }

// Turns publishes that a turn has begun.
func (t *Table) Turns(ms int64) {
	t.own.turn.Store(ms)
	t.own.waiting.Store(0)
}

// Lighter finds the available worker with the fewest connections, if it has fewer than we do.
func (t *Table) Lighter(ms int64) (bell int, found bool) {
	least := t.own.Connections.Load()
	for i := range t.slots {
		s := &t.slots[i]
		if n := s.Connections.Load(); n < least && s.available(ms) && s != t.own {
			least, bell, found = n, int(s.Bell.Load()), true
		}
	}
	return bell, found
}

// Other finds the serving worker with the fewest connections, except ours.
func (t *Table) Other() (bell int, found bool) {
	least := ^uint64(0)
	for i := range t.slots {
		s := &t.slots[i]
		if n := s.Connections.Load(); n < least && s.State.Load() == Serving && s != t.own {
			least, bell, found = n, int(s.Bell.Load()), true
		}
	}
	return bell, found
}

// available tells whether the worker waits or has just begun a turn, so that the app does not keep it busy.
func (s *Slot) available(ms int64) bool {
	return s.State.Load() == Serving && (s.waiting.Load() != 0 || ms-s.turn.Load() <= limits.AvailableMilliseconds)
}

// Ring wakes the worker with that bell, so that it checks the listeners.
func Ring(bell int) {
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(bell), uintptr(unsafe.Pointer(&one)), 8)
}

// ResetBell resets this worker's bell.
func (t *Table) ResetBell() {
	var count uint64
	unix.RawSyscall(unix.SYS_READ, uintptr(t.own.Bell.Load()), uintptr(unsafe.Pointer(&count)), 8)
}
