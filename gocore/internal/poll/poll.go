// Package poll is epoll(7): one set for the server's connections, its listeners and the app's own descriptors.
//
// Connections are edge-triggered and registered once, for reading, writing and hang-up together. The connection remembers the edges, so
// a request needs no epoll_ctl(2). Listeners and the app's descriptors are level-triggered, because a turn or the app may leave some of
// their input unread. A listener shared by workers is edge-triggered and exclusive: a connection wakes one worker, which accepts it or
// wakes another.
package poll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// Bits of epoll, in the order in which a connection checks them.
const (
	In  = unix.EPOLLIN
	Out = unix.EPOLLOUT
	// HalfClose: the peer has closed its sending side. Over TCP, a peer that has closed both sides looks the same.
	HalfClose = unix.EPOLLRDHUP
	// Gone: neither side can send, as after a reset.
	Gone = unix.EPOLLHUP | unix.EPOLLERR

	edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// Tag identifies a ready descriptor: its owner and its number.
type Tag uint64

// The owners of a descriptor. Server means one of the server's own.
const (
	Connection  = 0
	Listener    = 1
	Application = 2
	Server      = 3
)

// The server's own descriptors.
const (
	Alarm = 0
	Bell  = 1
	// Handshakes of TLS have news.
	Handshakes = 2
)

// A tag holds owner (2 bits), serial (30 bits) and number (32 bits).
const serialMask = 1<<30 - 1

// NewTag makes a tag; only the low 30 bits of serial are kept.
func NewTag(owner, serial, number uint32) Tag {
	return Tag(owner)<<62 | Tag(serial&serialMask)<<32 | Tag(number)
}

func (t Tag) Owner() uint32 { return uint32(t >> 62) }

// Is tells whether the tag has that serial.
func (t Tag) Is(serial uint32) bool { return uint32(t>>32)&serialMask == serial&serialMask }

// Number is the record, listener or descriptor.
func (t Tag) Number() uint32 { return uint32(t) }

// Ready is the report of one descriptor.
type Ready struct {
	Tag  Tag
	Bits uint32
}

// Poll is one epoll set.
type Poll struct {
	fd     int
	events [limits.PollEvents]unix.EpollEvent
	n      int
}

// Open creates an empty set.
func Open() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Poll{fd: fd}, nil
}

// FD is the descriptor of the set; it is readable when a descriptor in the set is ready.
func (p *Poll) FD() int { return p.fd }

// Close frees the set.
func (p *Poll) Close() { _ = unix.Close(p.fd) }

func (p *Poll) control(op, fd int, bits uint32, tag Tag) error {
	event := unix.EpollEvent{Events: bits, Fd: int32(uint32(tag)), Pad: int32(uint32(tag >> 32))}
	return unix.EpollCtl(p.fd, op, fd, &event)
}

// AddEdge registers a connection for all events, edge-triggered.
func (p *Poll) AddEdge(fd int, tag Tag) error { return p.control(unix.EPOLL_CTL_ADD, fd, edge, tag) }

// AddShared registers a listener that is in other workers' sets too: a new connection wakes one of them, once.
func (p *Poll) AddShared(fd int, tag Tag) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLET|unix.EPOLLEXCLUSIVE, tag)
}

// AddLevel registers fd for bits, level-triggered.
func (p *Poll) AddLevel(fd int, bits uint32, tag Tag) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, bits, tag)
}

// Set is AddLevel for a descriptor that may already be in the set; with bits 0 it removes the descriptor.
func (p *Poll) Set(fd int, bits uint32, tag Tag) error {
	if bits == 0 {
		return p.Remove(fd)
	}
	err := p.control(unix.EPOLL_CTL_MOD, fd, bits, tag)
	if err == unix.ENOENT {
		err = p.AddLevel(fd, bits, tag)
	}
	return err
}

func (p *Poll) Remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0, 0) }

// Wait waits at most ms milliseconds (-1: for ever) and returns the number of reports for Ready. A signal gives EINTR.
func (p *Poll) Wait(ms int) (int, error) {
	if ms == 0 {
		return p.now()
	}
	fd, events, most := p.Call()
	n, _, errno := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(events), most, uintptr(ms), 0, 0)
	return p.Came(n, errno)
}

// Call is the first arguments of epoll_pwait(2), for a caller that makes the call itself; Came evaluates its results. What an idle process
// runs last is what it keeps of its code in memory, in pieces of 64 KiB: so a server sleeps in its own code.
func (p *Poll) Call() (fd uintptr, events unsafe.Pointer, most uintptr) {
	return uintptr(p.fd), unsafe.Pointer(&p.events[0]), uintptr(len(p.events))
}

func (p *Poll) Came(n uintptr, errno syscall.Errno) (int, error) {
	if p.n = int(n); errno != 0 {
		p.n = 0
		return 0, errno
	}
	return p.n, nil
}

// now polls without waiting, so it skips the calls to Go's scheduler.
func (p *Poll) now() (int, error) {
	fd, events, most := p.Call()
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(events), most, 0, 0, 0)
	return p.Came(n, errno)
}

// Ready is report i of the last Wait.
func (p *Poll) Ready(i int) Ready {
	e := &p.events[i]
	return Ready{Tag(uint32(e.Fd)) | Tag(uint32(e.Pad))<<32, e.Events}
}
