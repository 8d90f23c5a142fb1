// Which connections a turn works on, besides those that epoll reports.

package transport

import "saltare/gocore/internal/pool"

// turn lists the work of this turn and the next, by connection number. The index into each list advances before the work, so that no
// entry is repeated after a panic.
type turn struct {
	ready   pool.List[uint32] // to work on before the next wait
	taken   int               // how many of ready were worked on
	later   pool.List[uint32] // put off: no room, or more of a file to send than one step allows
	retry   pool.List[uint32] // put off by the last turn
	resumed int               // how many of retry were resumed
}

func (t *turn) lists() [3]*pool.List[uint32] {
	return [...]*pool.List[uint32]{&t.ready, &t.later, &t.retry}
}

// left tells whether the lists hold more work.
func (t *turn) left() bool {
	return t.ready.Len()+t.later.Len() > 0 || t.resumed < t.retry.Len()
}

// PutReady schedules work on the connection before the next wait.
func (l *Loop) PutReady(c *Conn) {
	if !c.ready {
		c.ready = true
		l.turn.ready.Append(c.number)
	}
}

// PutOff schedules work on the connection in the next turn.
func (l *Loop) PutOff(c *Conn) {
	if !c.waiting {
		c.waiting = true
		l.turn.later.Append(c.number)
	}
}

// Waiting tells whether work was put off.
func (l *Loop) Waiting() bool { return l.turn.left() || l.Timers.due.Len() > 0 || l.Accept.left() }

// WorkOff writes gathered output and works on each ready connection, until none is left.
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

// Resume continues what the last turn put off.
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
