// A new connection.

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

// Listener is a listening socket that somebody else opened and will close.
type Listener struct {
	FD       int
	Wildcard bool
	Protocol Kind // that its connections begin with
}

// Acceptor takes connections from the listeners.
type Acceptor struct {
	Listeners []Listener
	Workers   *counters.Table // nil: there are no others

	loop     *Loop
	reserve  int    // a descriptor to spend when there are none left
	arriving int    // one that was accepted and is no connection yet; -1: there is none
	pauseEnd uint32 // tick at which a pause of accepting ends; 0: there is none
	lookAt   uint32 // tick at which listeners are looked at again, where a connection was left to another worker; 0: none was
	starved  bool   // connections are turned away, and the log says so
	unread   bool   // a listener that workers share was left before it was empty
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

// left tells whether listeners are to be tried although epoll will not report them.
func (a *Acceptor) left() bool { return a.unread && !a.loop.draining }

// From takes what waits at listener i, a batch of it; epoll reports the listener again when more is there. done: nothing more
// is, or nothing more can be taken.
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
			a.turnAway(i, errno)
			return true
		default: // EAGAIN: somebody else was faster, or there are no more
			return true
		}
	}
	return false
}

func (a *Acceptor) admit(fd int, i uint32, from handoff.Address) {
	l := a.loop
	a.arriving = fd
	room := !l.room.full() || l.room.make()
	a.arriving = -1
	if !room {
		l.Counts.Refused++
		l.Journal.Refused(journal.MaxConnections, uint64(l.Config.MaxConnections), l.Clock.Now)
		sock.Close(fd)
		return
	}
	number, c, err := l.conns.Alloc()
	if err != nil {
		sock.Close(fd)
		return
	}
	of := &a.Listeners[i]
	c.number, c.serial, c.fd, c.Listener, c.Client, c.protocol = number, l.NextSerial(), int32(fd), i, from, of.Protocol
	if of.Wildcard {
		sock.Local(fd, &c.Local)
	}
	l.Enter(c, Head)
	if err := l.poll.AddEdge(fd, poll.NewTag(poll.Connection, c.serial, number)); err != nil {
		l.close(c)
		return
	}
	l.Counts.Accepted++
	a.starved = false
	c.writable = true
	l.Timers.Arm(c)
}

// leave tells whether a connection that may wait at listener i is another worker's to take.
func (a *Acceptor) leave(i uint32) bool {
	l := a.loop
	a.Workers.Own().Connections.Store(uint64(l.conns.Live()))
	bell, found := a.Workers.Lighter(l.Clock.wall)
	if found && sock.Readable(a.Listeners[i].FD) {
		counters.Ring(bell)
		a.lookAt = l.Clock.Now + attentiveTicks
	}
	return found
}

// lookAgain takes a connection after all that was left to a worker which the app then kept busy.
func (a *Acceptor) lookAgain() {
	if a.lookAt == 0 || a.lookAt > a.loop.Clock.Now || a.loop.draining {
		return
	}
	a.lookAt = 0
	if a.pauseEnd == 0 {
		a.All()
	}
}

// All tries every listener, because another worker said that something waits, or because an edge of epoll was not
// followed to its end.
func (a *Acceptor) All() {
	a.unread = false
	for i := range a.Listeners {
		a.Edge(uint32(i))
	}
}

// Edge is From for a listener that workers share, which epoll will not report again.
func (a *Acceptor) Edge(i uint32) {
	if !a.From(i) {
		a.unread = true
	}
}

// HandOver leaves what waits at the listeners to another worker; false when there is none.
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

// turnAway: the process has no descriptor left, or the system no memory. The spare descriptor is spent on telling the
// next peer so, by closing it; left in the queue it would make epoll report the listener again and again. When that
// does not help, because another thread took the descriptor or memory is what lacks, nothing is accepted for a while.
func (a *Acceptor) turnAway(i uint32, why unix.Errno) {
	if !a.starved {
		a.starved = true
		a.loop.Journal.Error("connections are turned away: accept: " + why.Error())
	}
	if a.reserve >= 0 {
		sock.Close(a.reserve)
	}
	var from handoff.Address
	fd, errno := sock.Accept(a.Listeners[i].FD, &from)
	switch errno {
	case sock.OK:
		a.loop.Counts.Refused++
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

// resume ends a pause whose time has come.
func (a *Acceptor) resume() {
	if a.pauseEnd == 0 || a.pauseEnd > a.loop.Clock.Now || a.loop.draining {
		return
	}
	a.pauseEnd = 0
	_ = a.Listen()
}

// Listen makes epoll report the listeners.
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
