// Package poll is epoll(7): one set for the server's connections, its listeners and the application's own descriptors.
//
// Connections are edge-triggered and registered once, for reading, writing and hang-up together: the edge is remembered in
// the connection, so a request costs no epoll_ctl(2). Listeners and the application's descriptors are level-triggered,
// since others decide when they have had enough. A listener that workers share is edge-triggered and exclusive: a connection
// wakes one of them, which takes it or tells another.
package poll

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// Bits of epoll, in the order in which a connection looks at them.
const (
	In  = unix.EPOLLIN
	Out = unix.EPOLLOUT
	// HalfClose: the peer has ended its sending side. Over TCP that is all that is known of one that has closed both.
	HalfClose = unix.EPOLLRDHUP
	// Gone: neither side can send any more, as after a reset.
	Gone = unix.EPOLLHUP | unix.EPOLLERR

	edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// Tag is what a ready descriptor reports: whose it is and which.
type Tag uint64

// The owners of a descriptor. Those of Server are told apart by their numbers.
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
)

// A tag holds owner (2 bits), serial (30 bits) and number (32 bits).
const serialMask = 1<<30 - 1

// NewTag makes a tag; only the low 30 bits of serial are kept.
func NewTag(owner, serial, number uint32) Tag {
	return Tag(owner)<<62 | Tag(serial&serialMask)<<32 | Tag(number)
}

// Owner tells whose the descriptor is.
func (t Tag) Owner() uint32 { return uint32(t >> 62) }

// Serial is compared by Is.
func (t Tag) Is(serial uint32) bool { return uint32(t>>32)&serialMask == serial&serialMask }

// Number is the record, listener or descriptor.
func (t Tag) Number() uint32 { return uint32(t) }

// Ready is one report.
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

// Open makes an empty set.
func Open() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Poll{fd: fd}, nil
}

// FD is the descriptor of the set; it is readable when anything in the set is ready.
func (p *Poll) FD() int { return p.fd }

// Close frees the set.
func (p *Poll) Close() { _ = unix.Close(p.fd) }

func (p *Poll) control(op, fd int, bits uint32, tag Tag) error {
	event := unix.EpollEvent{Events: bits, Fd: int32(uint32(tag)), Pad: int32(uint32(tag >> 32))}
	return unix.EpollCtl(p.fd, op, fd, &event)
}

// AddEdge registers a connection for everything, edge-triggered.
func (p *Poll) AddEdge(fd int, tag Tag) error { return p.control(unix.EPOLL_CTL_ADD, fd, edge, tag) }

// AddShared registers a listener that other workers have in their sets as well: a new connection wakes one of them, once.
func (p *Poll) AddShared(fd int, tag Tag) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLET|unix.EPOLLEXCLUSIVE, tag)
}

// AddLevel registers fd for bits, level-triggered.
func (p *Poll) AddLevel(fd int, bits uint32, tag Tag) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, bits, tag)
}

// Set is AddLevel for a descriptor that may be in the set already; bits 0 takes it out.
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

// Remove takes fd out of the set.
func (p *Poll) Remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0, 0) }

// Wait waits at most ms milliseconds (-1: for ever) and returns how many reports Ready has. A signal gives EINTR.
func (p *Poll) Wait(ms int) (int, error) {
	if ms == 0 {
		return p.now()
	}
	n, err := unix.EpollWait(p.fd, p.events[:], ms)
	p.n = max(n, 0)
	return p.n, err
}

// now does not wait, so it need not tell Go's scheduler that it might.
func (p *Poll) now() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	p.n = int(n)
	if errno != 0 {
		p.n = 0
		return 0, errno
	}
	return p.n, nil
}

// Ready is report i of the last Wait.
func (p *Poll) Ready(i int) Ready {
	e := &p.events[i]
	return Ready{Tag(uint32(e.Fd)) | Tag(uint32(e.Pad))<<32, e.Events}
}
