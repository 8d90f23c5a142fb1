// A new connection.  per connection

package conn

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/sock"
)

// Accept takes what waits at listener i, a batch of it; epoll will say so when more is there. done: nothing more
// is, or nothing more can be taken.
func (h *Host) Accept(i uint32) (done bool) {
	for range limits.AcceptBatch {
		if h.Workers != nil && h.leave(i) {
			return true
		}
		var from handoff.Address
		fd, errno := sock.Accept(h.Listeners[i].FD, &from)
		switch errno {
		case sock.OK:
			h.admit(fd, i, from)
		case unix.ECONNABORTED, unix.EINTR:
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
			if errno == unix.EMFILE && h.makeRoom() {
				continue
			}
			h.turnAway(i, errno)
			return true
		default: // EAGAIN: somebody else was faster, or there are no more
			return true
		}
	}
	return false
}

func (h *Host) admit(fd int, i uint32, from handoff.Address) {
	h.arriving = fd
	room := !h.full() || h.makeRoom()
	h.arriving = -1
	if !room {
		h.Counts.Refused++
		h.tellLimit(maxConnections)
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
	h.starved = false
	c.writable = true
	h.arm(c)
}

// leave tells whether a connection that may wait at listener i is another worker's to take.
func (h *Host) leave(i uint32) bool {
	h.Workers.Own().Connections.Store(uint64(h.conns.Live()))
	bell, found := h.Workers.Lighter(h.wall)
	if found && sock.Readable(h.Listeners[i].FD) {
		counters.Ring(bell)
		h.lookAt = h.now + attentiveTicks
	}
	return found
}

// lookAgain takes a connection after all that was left to a worker which the app then kept busy.
func (h *Host) lookAgain() {
	if h.lookAt == 0 || h.lookAt > h.now || h.draining {
		return
	}
	h.lookAt = 0
	if h.acceptAt == 0 {
		h.AcceptAll()
	}
}

// AcceptAll tries every listener, because another worker said that something waits, or because an edge of epoll was not
// followed to its end.
func (h *Host) AcceptAll() {
	h.unaccepted = false
	for i := range h.Listeners {
		h.AcceptEdge(uint32(i))
	}
}

// AcceptEdge is Accept for a listener that workers share, of which epoll will not speak again.
func (h *Host) AcceptEdge(i uint32) {
	if !h.Accept(i) {
		h.unaccepted = true
	}
}

// Hand leaves what waits at the listeners to another worker; false when there is none.
func (h *Host) Hand() bool {
	if h.Workers == nil {
		return false
	}
	h.Workers.Leave()
	bell, found := h.Workers.Other()
	if found {
		counters.Ring(bell)
	}
	return found
}

// turnAway: the process has no descriptor left, or the system no memory. The spare descriptor is spent on telling the
// next peer so, by closing it; left in the queue it would make epoll report the listener again and again. When that
// does not help, because another thread took the descriptor or memory is what lacks, nothing is accepted for a while.
func (h *Host) turnAway(i uint32, why unix.Errno) {
	if !h.starved {
		h.starved = true
		h.log(handoff.LogError, "connections are turned away: accept: "+why.Error())
	}
	if h.reserve >= 0 {
		sock.Close(h.reserve)
	}
	var from handoff.Address
	fd, errno := sock.Accept(h.Listeners[i].FD, &from)
	switch errno {
	case sock.OK:
		h.Counts.Refused++
		sock.Close(fd)
		h.unaccepted = h.Workers != nil
	case why:
		h.pauseAccepting()
	}
	h.openReserve()
}

func (h *Host) pauseAccepting() {
	for _, l := range h.Listeners {
		_ = h.poll.Remove(l.FD)
	}
	h.acceptAt = h.now + ticks(limits.AcceptPause)
}

// resumeAccepting ends a pause whose time has come.
func (h *Host) resumeAccepting() {
	if h.acceptAt == 0 || h.acceptAt > h.now || h.draining {
		return
	}
	h.acceptAt = 0
	_ = h.ListenAll()
}

// ListenAll makes epoll report the listeners.
func (h *Host) ListenAll() error {
	for i, l := range h.Listeners {
		if err := h.listen(l.FD, poll.NewTag(poll.Listener, 0, uint32(i))); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) listen(fd int, tag poll.Tag) error {
	if h.Workers != nil {
		return h.poll.AddShared(fd, tag)
	}
	return h.poll.AddLevel(fd, poll.In, tag)
}

func (h *Host) openReserve() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	h.reserve = fd
}
