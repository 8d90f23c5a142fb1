// Deadlines. They count from the last progress of the phase.

package transport

import (
	"time"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/timer"
)

var (
	lingerTicks = limits.Ticks(limits.LingerTimeout)
	drainTicks  = limits.Ticks(limits.DrainLinger)
	pauseTicks  = limits.Ticks(limits.AcceptPause)

	// After this time a worker no longer counts as available because of its last turn.
	availableTicks = limits.Ticks(limits.AvailableMilliseconds*time.Millisecond) + 1
)

// Timers keeps the deadlines of connections.
type Timers struct {
	loop   *Loop
	wheel  timer.Wheel
	due    pool.List[uint32] // connections whose deadline may have passed
	judged int               // how many of due were checked
	filled uint32            // tick at which due was last filled from empty
}

// deadline is the tick at which the connection expires; 0: never.
func (t *Timers) deadline(c *Conn) uint32 {
	at := t.phaseDeadline(c)
	if t.writeCounts(c) {
		if w := c.wrote + t.loop.Config.WriteTimeout + 1; at == 0 || w < at {
			at = w
		}
	}
	return at
}

// writeCounts tells whether write_timeout applies to the connection's unsent output.
func (t *Timers) writeCounts(c *Conn) bool {
	return c.queue != 0 && t.loop.Config.WriteTimeout > 0 && !(c.phase == Busy && t.loop.protocols[c.protocol].Patient())
}

func (t *Timers) phaseDeadline(c *Conn) uint32 {
	limit := uint32(0)
	switch c.phase {
	case Head:
		limit = t.loop.Config.HeaderTimeout
	case Handshake:
		return t.loop.secure.deadline(c)
	case Idle:
		limit = t.loop.Config.KeepAliveTimeout
	case Busy:
		return t.loop.protocols[c.protocol].Deadline(c)
	case Linger:
		limit = lingerTicks
	}
	if t.loop.draining && c.unused() && (limit == 0 || limit > drainTicks) {
		limit = drainTicks
	}
	at := c.After(limit)
	if life := t.loop.Config.MaxConnectionLifetime; life > 0 && c.unused() {
		if end := t.loop.births[c.number] + life + 1; at == 0 || end < at {
			at = end
		}
	}
	return at
}

// Outlived tells whether the connection has reached max_connection_lifetime.
func (l *Loop) Outlived(c *Conn) bool {
	life := l.Config.MaxConnectionLifetime
	return life > 0 && l.Clock.Now > l.births[c.number]+life
}

// After is the tick at which the limit has passed since the last progress; 0: no limit.
func (c *Conn) After(limit uint32) uint32 {
	if limit == 0 {
		return 0
	}
	return c.Since + limit + 1 // the current tick does not count
}

// Arm schedules a check of the connection at its deadline.
func (t *Timers) Arm(c *Conn) {
	at := t.deadline(c)
	if at != 0 && (!c.node.Armed() || c.node.At() > at) {
		t.wheel.Arm(c.number, &c.node, at)
	}
}

// NextDeadline is how long the server may wait; ok is false if there is no deadline.
func (t *Timers) NextDeadline(now time.Time) (d time.Duration, ok bool) {
	at, ok := t.wheel.Next()
	for _, look := range [...]uint32{t.loop.Accept.pauseEnd, t.loop.Accept.lookAt} {
		if look != 0 && !t.loop.draining && (!ok || look < at) {
			at, ok = look, true
		}
	}
	if !ok {
		return 0, false
	}
	return t.loop.Clock.until(at, now), true
}

// IsLate tells whether a deadline came up so late that the loop cannot have run when it passed. That it then waited for others to be
// judged does not count.
func (t *Timers) IsLate(since, limit uint32) bool {
	return int32(t.filled-since) > int32(limit+limit/2)
}

// Due tells whether Run has a deadline to check.
func (t *Timers) Due() bool {
	at, ok := t.wheel.Next()
	return t.due.Len() > 0 || ok && at <= t.loop.Clock.Now
}

// Run ends expired connections, only a few per turn, so that thousands of them do not delay other connections. It returns
// whether it had any to check.
func (t *Timers) Run() (any bool) {
	t.loop.Accept.resume()
	t.loop.Accept.recheck()
	if t.due.Len() == 0 {
		t.filled = t.loop.Clock.Now
	}
	t.wheel.Run(t.loop.Clock.Now, t.due.Append)
	worked := 0
	for most := limits.ExpirePerTurn * len(t.loop.Accept.Listeners); t.judged < t.due.Len() && worked < most; {
		i := t.due.Items()[t.judged]
		t.judged++
		if t.judge(i) {
			worked++
		}
	}
	any = t.judged > 0
	t.due.Drop(t.judged)
	t.judged = 0
	return any
}

// PutOff moves timers whose deadlines have moved away, so that they do not end a long wait needlessly.
func (t *Timers) PutOff() {
	for i := range t.loop.conns.Len() {
		c := t.loop.conns.At(i)
		if c.phase == Closed || !c.node.Armed() {
			continue
		}
		if at := t.deadline(c); at == 0 || at > c.node.At() {
			t.wheel.Remove(i, &c.node)
			t.Arm(c)
		}
	}
}

// judge ends a connection if its deadline has passed and its socket holds no input that extends it. It returns whether that took
// any work. The number may meanwhile belong to another connection than when it became due.
func (t *Timers) judge(i uint32) (worked bool) {
	c := t.loop.conns.At(i)
	if !t.IsDue(c) {
		return false
	}
	serial := c.serial
	t.loop.WorkFor(c)
	t.loop.Fault("deadline")
	if t.look(c); c.phase != Closed && c.serial == serial && t.IsDue(c) {
		t.expire(c)
		t.loop.closeMarked(c)
	}
	return true
}

// IsDue tells whether the connection has to end now. If not, it is checked again at its deadline, or in the next tick if this turn
// has no room for it.
func (t *Timers) IsDue(c *Conn) bool {
	at := t.deadline(c)
	switch {
	case c.phase == Closed || at == 0:
		return false
	case at > t.loop.Clock.Now:
		t.Arm(c)
		return false
	case c.waiting || !t.loop.Inbox.HasRoom():
		t.wheel.Arm(c.number, &c.node, t.loop.Clock.Now+1)
		return false
	}
	return true
}

// look reads the socket before a deadline is enforced: while the app blocked the loop, nothing was read, and epoll's reports may
// still be pending. Input counts as progress, except for a head, which must be complete by its deadline.
func (t *Timers) look(c *Conn) {
	came, serial := t.loop.Input.came, c.serial
	c.readable = true
	if t.loop.drive(c); t.loop.Input.came != came && c.serial == serial && c.phase != Closed && c.phase != Head {
		c.Since = t.loop.Clock.Now
	}
}

func (t *Timers) expire(c *Conn) {
	if t.writeCounts(c) && c.wrote+t.loop.Config.WriteTimeout < t.loop.Clock.Now {
		t.expireWrite(c)
		return
	}
	if c.unused() && (t.loop.draining || t.loop.Outlived(c)) {
		t.loop.Mark(c, Responded)
		return
	}
	switch c.phase {
	case Head, Busy:
		t.loop.protocols[c.protocol].Expire(c)
	case Handshake:
		t.loop.secure.expire(c)
	case Linger:
		if t.IsLate(c.Since, lingerTicks) { // nothing was read meanwhile
			c.Since = t.loop.Clock.Now
			t.Arm(c)
			return
		}
		t.loop.Mark(c, Responded)
	default:
		t.loop.Mark(c, Responded)
	}
}

// expireWrite ends a connection whose peer accepts no output.
func (t *Timers) expireWrite(c *Conn) {
	wrote := c.wrote
	t.TryToWrite(c)
	switch {
	case c.Ends():
	case c.queue != 0 && c.wrote == wrote:
		c.reset = true // drop the unsent output
		t.loop.Mark(c, TooSlow)
	default:
		t.Arm(c)
	}
}

// TryToWrite finds out whether the peer accepts output by writing. Epoll reports a socket writable only once a third of its buffer
// is free, which can be megabytes: a slow peer may take longer than any deadline to read that much.
func (t *Timers) TryToWrite(c *Conn) {
	c.writable = true
	t.loop.Output.writeQueue(c)
	t.loop.PutReady(c)
}
