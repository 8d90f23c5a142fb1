// The one way out of a connection.

package transport

import (
	"sync/atomic"

	"saltare/gocore/internal/sock"
)

// Mark notes that the connection is to be closed, and why; the first reason counts. Whoever finds one does no more than that,
// however deep in the work for this connection or another: settle acts on it.
func (l *Loop) Mark(c *Conn, why Ending) {
	if c.ending == Stays {
		c.ending = why
		l.PutReady(c)
	}
}

// settle closes a connection that is marked.
func (l *Loop) settle(c *Conn) {
	switch {
	case c.ending == Stays || c.phase == Closed:
		return
	case c.ending == Answered:
		l.Output.FlushOf(c)
	case c.ending != FileCut && l.Journal.Debugs() && c.phase != Idle && c.phase != Linger:
		l.Journal.Debug(c.Peer() + ": " + c.ending.String() + " while " + l.Doing(c))
	}
	l.close(c)
}

// Finish ends a connection after its last response, whose stream is over. A peer that may still be sending would answer a plain close
// with a reset and lose the response, so it is given time (RFC 9112 9.6).
func (l *Loop) Finish(c *Conn) {
	if c.gone || !c.Linger && c.held == 0 && !l.Input.sends(c) {
		l.Mark(c, Answered)
		return
	}
	l.Input.Unpark(c)
	sock.Finish(int(c.fd))
	l.Enter(c, Linger)
	l.Timers.Arm(c)
}

// close gives everything back that the connection holds.
func (l *Loop) close(c *Conn) {
	if c.phase == Closed {
		return
	}
	l.protocols[c.protocol].Gone(c)
	l.Input.Unpark(c)
	l.Output.drop(c)
	l.Timers.wheel.Remove(c.number, &c.node)
	if c.reset {
		sock.Reset(int(c.fd))
	}
	if l.forked() {
		sock.End(int(c.fd))
	}
	sock.Close(int(c.fd))
	l.Enter(c, Closed)
	c.waiting, c.ready = false, false
	l.conns.Free(c.number)
}

// forked: a child of the app may have a copy of a descriptor, and with it would keep the connection open.
func (l *Loop) forked() bool {
	return l.Config.Forked != nil && atomic.LoadUint32(l.Config.Forked) != 0
}

// Drain lets every response be the last one of its connection and closes those that have none to wait for, the ones lately
// in use a little later. What already arrived is answered first.
func (l *Loop) Drain() {
	l.WorkOff()
	l.draining = true
	l.sweep(func(c *Conn) {
		l.WorkFor(c)
		l.Fault("drain")
		c.readable = true // what epoll has not reported yet counts too
		l.drive(c)
		l.retire(c)
	})
}

// retire closes a connection of a draining server that has nothing to wait for. One that this turn had no room for is looked
// at again in the next.
func (l *Loop) retire(c *Conn) {
	switch {
	case c.waiting || c.phase == Closed:
	case c.unused():
		if l.Clock.Now-c.Since >= drainTicks {
			l.Mark(c, Answered)
		} else {
			l.Timers.Arm(c)
		}
	case c.phase == Busy:
		l.protocols[c.protocol].Drain(c)
	}
	l.settle(c)
}

// Abandon ends every connection at once.
func (l *Loop) Abandon() {
	l.sweep(func(c *Conn) {
		l.WorkFor(c)
		l.Fault("abandon")
		l.close(c)
	})
}

// Close frees what connections share; there are none any more.
func (l *Loop) Close() {
	l.Accept.close()
	l.conns.Close()
	l.Input.buffers.Close()
	l.Timers.due.Close()
	l.Output.close()
	for _, list := range l.turn.lists() {
		list.Close()
	}
}
