// Accepting new connections.

package transport

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/sock"
)

// Listener is a listening socket. The caller opens and closes it.
type Listener struct {
	FD       int
	Wildcard bool
	Admin    bool // for operators: no request reaches the app, and connections begin with HTTP
	Protocol Kind // the first protocol of its connections; 0: that of the server
}

// Acceptor takes connections from the listeners.
type Acceptor struct {
	Listeners []Listener
	Workers   *counters.Table // nil: no other workers

	loop     *Loop
	reserve  int    // a spare descriptor, used when the process has none left
	arriving int    // accepted but not yet a connection; -1: none
	pauseEnd uint32 // tick at which the accept pause ends; 0: no pause
	lookAt   uint32 // tick to check the listeners again after a connection was left to another worker; 0: none
	starved  bool   // connections cannot be accepted, which is logged once
	unread   bool   // a shared listener may still have connections waiting
}

func (a *Acceptor) open(l *Loop) {
	a.loop, a.arriving = l, -1
	a.openReserve()
}

func (a *Acceptor) close() {
	if a.reserve >= 0 {
		sock.Close(a.reserve)
	}
}

// left tells whether the listeners need another try although epoll will not report them.
func (a *Acceptor) left() bool { return a.unread && !a.loop.draining }

// From accepts a batch of connections from listener i; epoll reports the listener again if more are waiting. done is true if none
// is waiting or none can be accepted.
func (a *Acceptor) From(i uint32) (done bool) {
	for range limits.AcceptBatch {
		if a.Workers != nil && a.leave(i) {
			return true
		}
		var from handoff.Address
		fd, errno := sock.Accept(a.Listeners[i].FD, &from)
		switch errno {
		case sock.OK:
			a.admit(fd, i, from)
		case unix.ECONNABORTED, unix.EINTR:
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
			if errno == unix.EMFILE && a.loop.room.make() {
				continue
			}
			a.refuseNext(i, errno)
			return true
		default: // EAGAIN: none is waiting, or another worker was faster
			return true
		}
	}
	return false
}

func (a *Acceptor) admit(fd int, i uint32, from handoff.Address) {
	l := a.loop
	of := &a.Listeners[i]
	if !of.Admin && l.Config.ProxyProtocol == 0 && l.refuses(&from) {
		sock.Reset(fd)
		sock.Close(fd)
		return
	}
	a.arriving = fd
	room := of.Admin || !l.room.full() || l.room.make()
	a.arriving = -1
	if !room {
		l.Refused(journal.MaxConnections, uint64(l.Config.MaxConnections))
		sock.Close(fd)
		return
	}
	number, c, err := l.conns.Alloc()
	if err != nil {
		sock.Close(fd)
		return
	}
	c.number, c.serial, c.fd, c.Listener, c.Client, c.protocol = number, l.NextSerial(), int32(fd), i, from, of.Protocol
	l.noteBirth(c)
	if !of.Admin && l.Config.ProxyProtocol == 0 {
		l.enter(&from)
	}
	if of.Wildcard {
		sock.Local(fd, &c.Local)
	}
	first := Head
	if l.secure != nil && (l.Prelude == 0 || of.Protocol != l.Prelude) {
		first = Handshake
	}
	l.Enter(c, first)
	if err := l.poll.AddEdge(fd, poll.NewTag(poll.Connection, c.serial, number)); err != nil {
		l.close(c)
		return
	}
	l.Counts.Accepted++
	a.starved = false
	c.writable = true
	l.Timers.Arm(c)
}

// noteBirth remembers since when the connection lives, if that is limited.
func (l *Loop) noteBirth(c *Conn) {
	if l.Config.MaxConnectionLifetime == 0 {
		return
	}
	for int(c.number) >= len(l.births) {
		l.births = append(l.births, 0)
	}
	l.births[c.number] = l.Clock.Now
}

// leave tells whether to leave a connection that may be waiting at listener i to another worker.
func (a *Acceptor) leave(i uint32) bool {
	l := a.loop
	a.Workers.Own().Connections.Store(uint64(l.conns.Live()))
	bell, found := a.Workers.Lighter(l.Clock.wall)
	if found && sock.Readable(a.Listeners[i].FD) {
		counters.Ring(bell)
		a.lookAt = l.Clock.Now + availableTicks
	}
	return found
}

// recheck accepts a connection that was left to another worker, in case the app kept that worker busy.
func (a *Acceptor) recheck() {
	if a.lookAt == 0 || a.lookAt > a.loop.Clock.Now || a.loop.draining {
		return
	}
	a.lookAt = 0
	if a.pauseEnd == 0 {
		a.All()
	}
}

// All tries every listener: another worker reported waiting connections, or an edge of epoll was not read until EAGAIN.
func (a *Acceptor) All() {
	a.unread = false
	for i := range a.Listeners {
		a.Edge(uint32(i))
	}
}

// Edge is From for a listener shared by workers, which epoll will not report again.
func (a *Acceptor) Edge(i uint32) {
	if !a.From(i) {
		a.unread = true
	}
}

// HandOver leaves waiting connections to another worker; false if there is no other worker.
func (a *Acceptor) HandOver() bool {
	if a.Workers == nil {
		return false
	}
	a.Workers.Leave()
	bell, found := a.Workers.Other()
	if found {
		counters.Ring(bell)
	}
	return found
}

// refuseNext handles running out of descriptors or memory. It frees the spare descriptor, accepts the next connection and closes it:
// left in the backlog, the connection would make epoll report the listener again and again. If accept still fails, because another
// thread took the descriptor or memory is short, accepting pauses.
func (a *Acceptor) refuseNext(i uint32, why unix.Errno) {
	if !a.starved {
		a.starved = true
		a.loop.Journal.Error("connections cannot be accepted: " + why.Error())
	}
	if a.reserve >= 0 {
		sock.Close(a.reserve)
	}
	var from handoff.Address
	fd, errno := sock.Accept(a.Listeners[i].FD, &from)
	switch errno {
	case sock.OK:
		a.loop.Count(journal.Descriptors)
		sock.Close(fd)
		a.unread = a.Workers != nil
	case why:
		a.pause()
	}
	a.openReserve()
}

func (a *Acceptor) pause() {
	for _, l := range a.Listeners {
		_ = a.loop.poll.Remove(l.FD)
	}
	a.pauseEnd = a.loop.Clock.Now + pauseTicks
}

// resume ends an expired pause.
func (a *Acceptor) resume() {
	if a.pauseEnd == 0 || a.pauseEnd > a.loop.Clock.Now || a.loop.draining {
		return
	}
	a.pauseEnd = 0
	_ = a.Listen()
}

// Listen adds the listeners to epoll.
func (a *Acceptor) Listen() error {
	for i, l := range a.Listeners {
		if err := a.add(l.FD, poll.NewTag(poll.Listener, 0, uint32(i))); err != nil {
			return err
		}
	}
	return nil
}

func (a *Acceptor) add(fd int, tag poll.Tag) error {
	if a.Workers != nil {
		return a.loop.poll.AddShared(fd, tag)
	}
	return a.loop.poll.AddLevel(fd, poll.In, tag)
}

func (a *Acceptor) openReserve() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	a.reserve = fd
}
