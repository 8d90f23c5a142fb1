// Recovery from a panic: repair the state that connections share, and end the connection being worked on.

package transport

import (
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// WorkFor records which connection is being worked on; nil: none.
func (l *Loop) WorkFor(c *Conn) { l.working = c }

// Fault lets tests cause a panic.
func (l *Loop) Fault(during string) {
	if l.Config.Fault != nil && l.working != nil {
		l.Config.Fault(during, l.working.Client.Port)
	}
}

// Recover repairs the state after a panic. What connections share:
//
//   - gathered output of the connection being worked on: released with the connection. Gathered output of another connection is
//     complete, because only work on that connection could have panicked in it.
//   - the list of pieces for sendmsg(2): cleared.
//   - the arena of the inbox: bytes kept without an event only occupy memory until the end of the turn. An event that was added is
//     valid, and the event of the end follows it.
//   - queues, wheel, slabs: their steps do not fail on sound records. If a record is not sound, the connection is closed without
//     what its record named.
//   - the lists of a turn (ready, later, due, reports, commands): their indexes advance before the work, so no entry is repeated.
//   - a connection just accepted, when the work to make room for it panicked: closed.
func (l *Loop) Recover(panicked any) {
	c := l.working
	l.working = nil
	l.Counts.Panics++
	doing := ""
	if c != nil {
		attempt(func() { doing = l.Doing(c) })
	}
	l.Journal.Panic(panicked, doing)
	l.Output.iov.Forget()
	if a := &l.Accept; a.arriving >= 0 {
		sock.Close(a.arriving)
		a.arriving = -1
	}
	if c == nil || c.phase == Closed {
		return
	}
	c.reset = true // the peer must not take a partial response for a complete one
	if attempt(func() { l.close(c) }) {
		return
	}
	if c.phase != Closed {
		c.Stream, c.tls, c.queue, c.parked, c.held = 0, 0, 0, pool.Buffer{}, 0
		attempt(func() { l.close(c) })
	}
}

// attempt returns whether do finished without a panic.
func attempt(do func()) (done bool) {
	defer func() { done = done || recover() == nil }()
	do()
	return true
}
