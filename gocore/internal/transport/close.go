// The one way out of a connection.

package transport

import (
	"sync/atomic"

	"saltare/gocore/internal/sock"
)

// Mark records that the connection is to be closed, and why; the first reason counts. Code at any depth, for this connection or
// another, only marks: closeMarked closes.
func (l *Loop) Mark(c *Conn, why Ending) {
	if c.ending == Stays {
		c.ending = why
		l.PutReady(c)
	}
}

// closeMarked closes a connection that is marked.
func (l *Loop) closeMarked(c *Conn) {
	switch {
	case c.ending == Stays || c.phase == Closed:
		return
	case c.ending == Responded:
		l.Output.FlushOf(c)
	case c.ending != FileCut && l.Journal.Debugs() && c.phase != Idle && c.phase != Linger:
		l.Journal.Debug(c.Peer() + ": " + c.ending.String() + " while " + l.Doing(c))
	}
	l.close(c)
}

// Finish ends a connection after its last response, whose stream is over. After a plain close, a peer that is still sending would
// receive a reset and lose the response, so the connection lingers (RFC 9112 9.6).
func (l *Loop) Finish(c *Conn) {
	if c.gone || !c.Linger && c.held == 0 && !l.Input.sends(c) {
		l.Mark(c, Responded)
		return
	}
	if c.tls != 0 {
		l.Output.FlushOf(c)
		l.secure.closeNotify(c)
	}
	l.Input.Unpark(c)
	sock.Finish(int(c.fd))
	l.Enter(c, Linger)
	l.Timers.Arm(c)
}

// close releases everything that the connection holds.
func (l *Loop) close(c *Conn) {
	if c.phase == Closed {
		return
	}
	if l.Figures != nil {
		l.Figures.Closes[c.ending]++
	}
	l.protocols[c.protocol].Gone(c)
	if l.secure != nil {
		l.secure.gone(c)
	}
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
	l.left(c)
	l.Enter(c, Closed)
	c.waiting, c.ready = false, false
	l.conns.Free(c.number)
}

// forked: a child process of the app may hold a copy of the descriptor, which would keep the connection open.
func (l *Loop) forked() bool {
	return l.Config.Forked != nil && atomic.LoadUint32(l.Config.Forked) != 0
}

// Drain makes every response the last one of its connection and closes connections without a request, recently used ones a little
// later. Requests that have already arrived are served first.
func (l *Loop) Drain() {
	l.WorkOff()
	l.draining = true
	l.sweep(func(c *Conn) {
		l.WorkFor(c)
		l.Fault("drain")
		c.readable = true // includes input that epoll has not reported yet
		l.drive(c)
		l.retire(c)
	})
}

// retire closes a connection of a draining server that has no request in progress. A connection that was put off is checked again
// in the next turn.
func (l *Loop) retire(c *Conn) {
	switch {
	case c.waiting || c.phase == Closed:
	case c.unused():
		if l.Clock.Now-c.Since >= drainTicks {
			l.Mark(c, Responded)
		} else {
			l.Timers.Arm(c)
		}
	case c.phase == Busy:
		l.protocols[c.protocol].Drain(c)
	}
	l.closeMarked(c)
}

// Abandon closes every connection at once.
func (l *Loop) Abandon() {
	l.sweep(func(c *Conn) {
		l.WorkFor(c)
		l.Fault("abandon")
		l.close(c)
	})
}

// Close frees what connections share. No connection may be open.
func (l *Loop) Close() {
	l.Accept.close()
	if l.secure != nil {
		l.secure.close()
	}
	l.conns.Close()
	l.Input.buffers.Close()
	l.Timers.due.Close()
	l.Output.close()
	for _, list := range l.turn.lists() {
		list.Close()
	}
}
