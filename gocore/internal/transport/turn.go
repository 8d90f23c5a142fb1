// Which connections a turn goes on with, besides those that epoll reports.

package transport

import "saltare/gocore/internal/pool"

// turn is what is to be done in this turn and the next, by numbers of connections. Each list is worked off by an index that moves on
// before the work, so that nothing is met twice after a panic.
type turn struct {
	ready   pool.List[uint32] // to be gone on with before the next wait
	taken   int               // of ready, gone on with
	later   pool.List[uint32] // put off: no room, or more of a file to send than one step
	retry   pool.List[uint32] // those put off by the last turn
	resumed int               // of retry, taken up again
}

func (t *turn) lists() [3]*pool.List[uint32] {
	return [...]*pool.List[uint32]{&t.ready, &t.later, &t.retry}
}

// left tells whether anything is.
func (t *turn) left() bool {
	return t.ready.Len()+t.later.Len() > 0 || t.resumed < t.retry.Len()
}

// PutReady has the turn go on with the connection before it waits.
func (l *Loop) PutReady(c *Conn) {
	if !c.ready {
		c.ready = true
		l.turn.ready.Append(c.number)
	}
}

// PutOff has the next turn go on with the connection.
func (l *Loop) PutOff(c *Conn) {
	if !c.waiting {
		c.waiting = true
		l.turn.later.Append(c.number)
	}
}

// Waiting tells whether connections were put off.
func (l *Loop) Waiting() bool { return l.turn.left() || l.Timers.due.Len() > 0 || l.Accept.left() }

// WorkOff writes out what is gathered and goes on with each connection that is ready, until none is.
func (l *Loop) WorkOff() {
	t := &l.turn
	for l.Output.Flush(); t.taken < t.ready.Len(); l.Output.Flush() {
		c := l.conns.At(t.ready.Items()[t.taken])
		t.taken++
		if c.ready && c.phase != Closed {
			c.ready = false
			l.WorkFor(c)
			l.drive(c)
		}
	}
	t.ready.Drop(t.taken)
	t.taken = 0
}

// Resume takes up what the last turn put off.
func (l *Loop) Resume() {
	if l.Accept.left() {
		l.Accept.All()
	}
	t := &l.turn
	if t.resumed == t.retry.Len() {
		t.retry.Drop(t.resumed)
		t.later, t.retry, t.resumed = t.retry, t.later, 0
	}
	for t.resumed < t.retry.Len() {
		c := l.conns.At(t.retry.Items()[t.resumed])
		t.resumed++
		if c.waiting && c.phase != Closed {
			c.waiting = false
			l.WorkFor(c)
			l.Fault("resume")
			l.Output.FlushOf(c)
			if c.queue != 0 {
				l.Output.writeQueue(c)
			}
			l.drive(c)
			if l.draining {
				l.retire(c)
			}
		}
	}
}
