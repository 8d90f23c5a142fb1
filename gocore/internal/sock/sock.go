// Package sock is the system calls of a connection's socket. None of them blocks, so they skip Go's scheduler, even if another process
// with a copy of the socket, such as a forked child, has made it blocking.
package sock

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// OK is the Errno of a call that succeeded.
const OK = unix.Errno(0)

// Accept accepts one connection, non-blocking and close-on-exec. It fills from if the peer has an IP address.
func Accept(listener int, from *handoff.Address) (fd int, errno unix.Errno) {
	var raw unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&raw)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	address(&raw, from)
	return int(n), OK
}

// Readable tells whether there is input to read or a connection to accept.
func Readable(fd int) bool {
	set := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, _, _ := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(&unix.Timespec{})), 0, 0, 0)
	return int(n) == 1
}

// Local fills at with the connection's own address, if it is an IP address.
func Local(fd int, at *handoff.Address) {
	var raw unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if errno == 0 {
		address(&raw, at)
	}
}

func address(raw *unix.RawSockaddrAny, to *handoff.Address) {
	switch raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		copy(to.IP[:4], in.Addr[:])
		to.Family, to.Port = handoff.FamilyInet, networkOrder(in.Port)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		to.IP = in.Addr
		to.Family, to.Port = handoff.FamilyInet6, networkOrder(in.Port)
	}
}

func networkOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// Read reads available input into b. 0 with OK means that the peer has closed its sending side.
func Read(fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// AtEnd tells whether the peer has closed its sending side and all its input was read.
func AtEnd(fd int) bool {
	var b [1]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	return n == 0 && errno == OK
}

const sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

// Write sends as much of b as the socket accepts.
func Write(fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), sendFlags, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Gather is the list of pieces for one sendmsg(2).
type Gather struct {
	iov [limits.GatherSegments]unix.Iovec
	msg unix.Msghdr
	n   int
}

// Add appends a piece. It returns whether there is room for another.
func (g *Gather) Add(ptr unsafe.Pointer, n int) bool {
	g.iov[g.n].Base = (*byte)(ptr)
	g.iov[g.n].SetLen(n)
	g.n++
	return g.n < len(g.iov)
}

// Forget clears the list.
func (g *Gather) Forget() { g.n = 0 }

// Write sends as much of the pieces as the socket accepts, and clears the list. With more, the last packet may wait for further data.
func (g *Gather) Write(fd int, more bool) (int, unix.Errno) {
	g.msg.Iov = &g.iov[0]
	g.msg.SetIovlen(g.n)
	g.n = 0
	flags := uintptr(sendFlags)
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&g.msg)), flags)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// SendFile sends up to n bytes of a file from offset at. 0 with OK is the end of the file. It may wait for the disk, so Go's scheduler
// is informed. It has no flags, so it may also wait for a socket that another process has made blocking, and it may raise SIGPIPE, which
// Python ignores unless the app changes that.
func SendFile(fd, file int, at int64, n int) (int, unix.Errno) {
	for {
		sent, err := unix.Sendfile(fd, file, &at, n)
		errno, _ := err.(unix.Errno)
		if errno != unix.EINTR {
			return max(sent, 0), errno
		}
	}
}

// ReadFile reads into b from a file at an offset. 0 with OK is the end of the file. It may wait for the disk, so Go's scheduler is
// informed.
func ReadFile(file int, b []byte, at int64) (int, unix.Errno) {
	for {
		n, err := unix.Pread(file, b, at)
		errno, _ := err.(unix.Errno)
		if errno != unix.EINTR {
			return max(n, 0), errno
		}
	}
}

func Close(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// AckNow acknowledges input at once (tcp(7): TCP_QUICKACK) instead of with the next output. It does nothing for a Unix socket.
func AckNow(fd int) {
	on := int32(1)
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
}

// Finish shuts down our side of the connection; the peer may still send (RFC 9112 9.6).
func Finish(fd int) { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0) }

// End shuts down both sides of the connection, even if another process has a copy of the descriptor.
func End(fd int) { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_RDWR, 0) }

// Reset drops the connection at once, with its unsent output (connect(2): AF_UNSPEC), even if another process has a copy of the
// descriptor. Unix sockets cannot be reset.
func Reset(fd int) {
	nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere))
}
