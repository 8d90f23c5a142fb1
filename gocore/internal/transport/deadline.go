// What took too long. Times count from the last progress of the phase.

package transport

import (
	"time"

	"saltare/gocore/internal/limits"
)

var (
	lingerTicks = limits.Ticks(limits.LingerTimeout)
	drainTicks  = limits.Ticks(limits.DrainLinger)
	pauseTicks  = limits.Ticks(limits.AcceptPause)

	// By then a worker is no longer taken for an attentive one because of its last turn.
	attentiveTicks = limits.Ticks(limits.AttentiveMilliseconds*time.Millisecond) + 1
)

// deadline is the tick at which the connection has taken too long; 0 when it may take its time.
func (l *Loop) deadline(c *Conn) uint32 {
	at := l.phaseDeadline(c)
	if l.writeCounts(c) {
		if w := c.wrote + l.Config.WriteTimeout + 1; at == 0 || w < at {
			at = w
		}
	}
	return at
}

// writeCounts tells whether unsent output has to make progress.
func (l *Loop) writeCounts(c *Conn) bool {
	return c.queue != 0 && l.Config.WriteTimeout > 0 && !(c.phase == Busy && l.protocols[c.protocol].Patient())
}

func (l *Loop) phaseDeadline(c *Conn) uint32 {
	limit := uint32(0)
	switch c.phase {
	case Head:
		limit = l.Config.HeaderTimeout
	case Idle:
		limit = l.Config.KeepAliveTimeout
	case Busy:
		return l.protocols[c.protocol].Deadline(c)
	case Linger:
		limit = lingerTicks
	}
	if l.draining && c.unused() && (limit == 0 || limit > drainTicks) {
		limit = drainTicks
	}
	return c.After(limit)
}

// After is the tick at which the limit has passed since the last progress; 0 when there is no limit.
func (c *Conn) After(limit uint32) uint32 {
	if limit == 0 {
		return 0
	}
	return c.Since + limit + 1 // the tick under way is not counted
}

// Arm makes sure the connection is looked at when its deadline comes.
func (l *Loop) Arm(c *Conn) {
	at := l.deadline(c)
	if at != 0 && (!c.node.Armed() || c.node.At() > at) {
		l.wheel.Arm(c.number, &c.node, at)
	}
}

// NextDeadline is how long the server may sleep; ok is false when nothing is due.
func (l *Loop) NextDeadline(now time.Time) (d time.Duration, ok bool) {
	at, ok := l.wheel.Next()
	for _, look := range [...]uint32{l.Accept.pauseEnd, l.Accept.lookAt} {
		if look != 0 && !l.draining && (!ok || look < at) {
			at, ok = look, true
		}
	}
	if !ok {
		return 0, false
	}
	return l.Clock.until(at, now), true
}

// TimersDue tells whether RunTimers has anything to look at.
func (l *Loop) TimersDue() bool {
	at, ok := l.wheel.Next()
	return l.turn.due.Len() > 0 || ok && at <= l.Clock.Now
}

// RunTimers ends what took too long: a few connections in a turn, so that the end of thousands holds up nobody. It tells
// whether there was anything to look at.
func (l *Loop) RunTimers() (any bool) {
	l.Accept.resume()
	l.Accept.lookAgain()
	t := &l.turn
	l.wheel.Run(l.Clock.Now, t.due.Append)
	worked := 0
	for most := limits.ExpirePerTurn * len(l.Accept.Listeners); t.judged < t.due.Len() && worked < most; {
		i := t.due.Items()[t.judged]
		t.judged++
		if l.judge(i) {
			worked++
		}
	}
	any = t.judged > 0
	t.due.Drop(t.judged)
	t.judged = 0
	return any
}

// PutOffTimers moves the timers of deadlines that have moved away, so that they do not end a long sleep for nothing.
func (l *Loop) PutOffTimers() {
	for i := range l.conns.Len() {
		c := l.conns.At(i)
		if c.phase == Closed || !c.node.Armed() {
			continue
		}
		if at := l.deadline(c); at == 0 || at > c.node.At() {
			l.wheel.Remove(i, &c.node)
			l.Arm(c)
		}
	}
}

// judge ends a connection if its deadline is over and its socket holds nothing that would save it. It tells whether that took
// any work. It may be another connection than when its number became due.
func (l *Loop) judge(i uint32) (worked bool) {
	c := l.conns.At(i)
	if !l.IsDue(c) {
		return false
	}
	serial := c.serial
	l.WorkFor(c)
	l.Fault("deadline")
	if l.look(c); c.phase != Closed && c.serial == serial && l.IsDue(c) {
		l.expire(c)
		l.settle(c)
	}
	return true
}

// IsDue tells whether the connection is to be ended now. It is looked at again at its deadline otherwise, or in the next tick
// when this turn has no room for it.
func (l *Loop) IsDue(c *Conn) bool {
	at := l.deadline(c)
	switch {
	case c.phase == Closed || at == 0:
		return false
	case at > l.Clock.Now:
		l.Arm(c)
		return false
	case c.waiting || !l.Inbox.HasRoom():
		l.wheel.Arm(c.number, &c.node, l.Clock.Now+1)
		return false
	}
	return true
}

// look takes in what the socket holds before a deadline is believed: while the app kept the loop from turning, nobody did, and
// epoll's reports may still be to come. What was found counts as progress, but for a head, which has to be whole by its time.
func (l *Loop) look(c *Conn) {
	came, serial := l.came, c.serial
	c.readable = true
	if l.drive(c); l.came != came && c.serial == serial && c.phase != Closed && c.phase != Head {
		c.Since = l.Clock.Now
	}
}

func (l *Loop) expire(c *Conn) {
	if l.writeCounts(c) && c.wrote+l.Config.WriteTimeout < l.Clock.Now {
		l.expireWrite(c)
		return
	}
	if l.draining && c.unused() {
		l.Mark(c, Answered)
		return
	}
	switch c.phase {
	case Head, Busy:
		l.protocols[c.protocol].Expire(c)
	case Linger:
		if l.Clock.IsLate(c.Since, lingerTicks) { // nothing was read meanwhile
			c.Since = l.Clock.Now
			l.Arm(c)
			return
		}
		l.Mark(c, Answered)
	default:
		l.Mark(c, Answered)
	}
}

// expireWrite gives up a peer that takes nothing.
func (l *Loop) expireWrite(c *Conn) {
	wrote := c.wrote
	l.TryToWrite(c)
	switch {
	case c.Ends():
	case c.queue != 0 && c.wrote == wrote:
		c.reset = true // nothing is kept for it
		l.Mark(c, TooSlow)
	default:
		l.Arm(c)
	}
}

// TryToWrite finds out by a write whether a peer takes something. Epoll reports room only once a third of the socket's buffer is free,
// megabytes that a slow peer may take longer for than any deadline.
func (l *Loop) TryToWrite(c *Conn) {
	c.writable = true
	l.Output.writeQueue(c)
	l.PutReady(c)
}
