// After a panic of ours: what connections share is made consistent again, and the one that was worked for ends.

package transport

import (
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// WorkFor notes for which connection work begins; nil: for none.
func (l *Loop) WorkFor(c *Conn) { l.working = c }

// Fault is where tests have a panic happen.
func (l *Loop) Fault(during string) {
	if l.Config.Fault != nil && l.working != nil {
		l.Config.Fault(during, l.working.Client.Port)
	}
}

// Recover takes up what a panic has left. What every connection uses:
//
//   - gathered output, of the connection that was worked for: given back with it. Of another one: whole, since the work for it is
//     what the panic would have been in.
//   - the list of pieces for sendmsg(2): forgotten.
//   - the arena of the inbox: what was kept without an event is memory of this turn, no more. An event that was added is
//     true, and is followed by that of the end.
//   - queues, wheel, slabs: changed by steps that do not fail on records that are sound. On one that is not, the connection
//     is ended without what its record named.
//   - the lists of a turn (ready, later, due, reports, commands): their places move on before the work, so nothing is met twice.
//   - a connection that was accepted while the panic was in the work for another: closed.
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
	c.reset = true // the peer must not take what it has for all
	if attempt(func() { l.close(c) }) {
		return
	}
	if c.phase != Closed {
		c.Stream, c.queue, c.parked, c.held = 0, 0, pool.Buffer{}, 0
		attempt(func() { l.close(c) })
	}
}

// attempt tells whether do did not panic.
func attempt(do func()) (done bool) {
	defer func() { done = done || recover() == nil }()
	do()
	return true
}
