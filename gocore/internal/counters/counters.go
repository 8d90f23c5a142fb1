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
	"encoding/binary"
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

const version = 1

// Slot is the counters of one worker. Times are milliseconds of the wall clock.
type Slot struct {
	State atomic.Uint32
	PID   atomic.Uint32
	Bell  atomic.Int32 // descriptor, equal in all workers

	waiting atomic.Uint32 // 1 while it waits for events
	turn    atomic.Int64  // when its current turn began

	Connections, Streams        atomic.Uint64 // now
	Requests, Accepted, Refused atomic.Uint64 // since it was forked

	_ [limits.SlotBytes - 64]byte
}

// Compile-time check that each slot has cache lines of its own.
const _ = -(unsafe.Sizeof(Slot{}) - limits.SlotBytes)

// Table is the mapped table and our own slot.
type Table struct {
	memory []byte
	slots  []Slot
	own    *Slot
}

// Open maps the table in fd; own is the number of our slot, 1 or more. The caller keeps fd.
func Open(fd, own int) (*Table, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	n := int(stat.Size / limits.SlotBytes)
	if own < 1 || own >= n {
		return nil, unix.EINVAL
	}
	memory, err := pool.MapShared(fd, n*limits.SlotBytes)
	if err != nil {
		return nil, err
	}
	if string(memory[:4]) != "SALT" || binary.NativeEndian.Uint32(memory[4:]) != version {
		pool.Unmap(memory)
		return nil, unix.EINVAL
	}
	slots := unsafe.Slice((*Slot)(unsafe.Pointer(unsafe.SliceData(memory))), n)
	return &Table{memory, slots[1:], &slots[own]}, nil
}

func (t *Table) Close() { pool.Unmap(t.memory) }

// head is the beginning of the table, in place of slot 0's state. Only the master writes it.
type head struct {
	magic   [4]byte
	version uint32
	slots   uint32
	unready atomic.Uint32
}

// Unready is 1 once the master is about to stop all workers.
func (t *Table) Unready() *atomic.Uint32 { return &(*head)(unsafe.Pointer(&t.memory[0])).unready }

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
