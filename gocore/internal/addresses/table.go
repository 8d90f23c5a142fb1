// Package addresses is what limits know of clients, by address. It takes the same memory however many addresses there are.
//
//	table.go        the memory, private or shared by the workers of one master
//	key.go          what counts as one address
//	set.go          where the entries of an address are
//	connections.go  how many connections an address has
//	rate.go         how many requests it may send
//
// The master creates the shared table, an anonymous file, before it forks; every worker maps it. No lock is needed, so none is left held
// when a worker is killed: a worker writes its own counts only, and the master clears the flag of a worker that has ended. Buckets, which
// all workers write, change in one atomic step.
// saltare/prefork/addresses.py has the same layout.
package addresses

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

const version = 1

// header is the first page of the table.
type header struct {
	magic   [4]byte // "SALA"
	version uint32
	slots   uint32
	_       uint32
	seed    uint64 // keeps clients from choosing addresses that share a set
	_       [40]byte
	counted [limits.AddressSlots]atomic.Uint32 // by slot - 1: 1 once its worker has counted a connection
}

// Compile-time check that the header fits its page.
const _ = uint(limits.AddressHeaderBytes - unsafe.Sizeof(header{}))

// Table is the mapped table.
type Table struct {
	memory []byte
	*header
	*buckets
	own    int           // our slot - 1
	counts []connections // by slot - 1
}

// size is that of the header, the buckets and a region for each slot.
func size(slots int) int { return regionAt(slots) }

func regionAt(slot int) int { return limits.AddressHeaderBytes + (1+slot)*limits.AddressRegionBytes }

// Compile-time checks that both kinds of region have the same size.
const (
	_ = -(unsafe.Sizeof(connections{}) - limits.AddressRegionBytes)
	_ = -(unsafe.Sizeof(buckets{}) - limits.AddressRegionBytes)
)

// OpenPrivate makes the table of a process without other workers.
func OpenPrivate() (*Table, error) {
	memory, err := pool.Map(size(1))
	if err != nil {
		return nil, err
	}
	t := tableIn(memory, 1, 1)
	var seed [8]byte
	_, _ = unix.Getrandom(seed[:], 0) // without it, 0 is a seed like any other
	t.seed = binary.NativeEndian.Uint64(seed[:])
	return t, nil
}

// Open maps the table in fd; own is the number of our slot, 1 or more. The caller keeps fd.
func Open(fd, own int) (*Table, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	slots := (int(stat.Size) - size(0)) / limits.AddressRegionBytes
	if own < 1 || own > slots || slots > limits.AddressSlots {
		return nil, unix.EINVAL
	}
	memory, err := pool.MapShared(fd, size(slots))
	if err != nil {
		return nil, err
	}
	t := tableIn(memory, slots, own)
	if string(t.magic[:]) != "SALA" || t.version != version || int(t.slots) != slots {
		pool.Unmap(memory)
		return nil, unix.EINVAL
	}
	t.counts[t.own].clear(memory[regionAt(t.own):regionAt(own)])
	return t, nil
}

func tableIn(memory []byte, slots, own int) *Table {
	return &Table{
		memory: memory, header: (*header)(unsafe.Pointer(&memory[0])), own: own - 1,
		buckets: (*buckets)(unsafe.Pointer(&memory[limits.AddressHeaderBytes])),
		counts:  unsafe.Slice((*connections)(unsafe.Pointer(&memory[regionAt(0)])), slots),
	}
}

func (t *Table) Close() { pool.Unmap(t.memory) }
