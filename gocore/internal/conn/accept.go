// A new connection.  per connection

package conn

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/sock"
)

// Accept takes what waits at listener i. It stops after a batch; epoll will say so when more is there.
func (h *Host) Accept(i uint32) {
	for range limits.AcceptBatch {
		var from handoff.Address
		fd, errno := sock.Accept(h.Listeners[i].FD, &from)
		switch errno {
		case sock.OK:
			h.admit(fd, i, from)
		case unix.ECONNABORTED, unix.EINTR:
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
			h.turnAway(i)
			return
		default: // EAGAIN: somebody else was faster, or there are no more
			return
		}
	}
}

func (h *Host) admit(fd int, i uint32, from handoff.Address) {
	if limit := h.Config.MaxConnections; limit > 0 && h.conns.Live() >= int(limit) {
		h.Counts.Refused++
		sock.Close(fd)
		return
	}
	number, c, err := h.conns.Alloc()
	if err != nil {
		sock.Close(fd)
		return
	}
	c.number, c.serial, c.fd, c.listener, c.client = number, h.nextSerial(), int32(fd), i, from
	if h.Listeners[i].Wildcard {
		sock.Local(fd, &c.local)
	}
	h.enter(c, Head)
	if err := h.poll.AddEdge(fd, poll.NewTag(poll.Connection, c.serial, number)); err != nil {
		h.close(c)
		return
	}
	h.Counts.Accepted++
	c.writable = true
	h.arm(c)
}

// turnAway: the process has no descriptor left. The spare one is spent on telling the next peer so, by closing it; left in
// the queue it would make epoll report the listener again and again.
func (h *Host) turnAway(i uint32) {
	if h.reserve < 0 {
		return
	}
	sock.Close(h.reserve)
	var from handoff.Address
	if fd, errno := sock.Accept(h.Listeners[i].FD, &from); errno == sock.OK {
		h.Counts.Refused++
		sock.Close(fd)
	}
	h.openReserve()
	h.log(handoff.LogError, "out of file descriptors: a connection was turned away")
}

func (h *Host) openReserve() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	h.reserve = fd
}
