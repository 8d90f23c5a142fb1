// What took too long. Times count from the last progress of the phase.  per connection

package conn

import (
	"time"

	"saltare/gocore/internal/limits"
)

var (
	lingerTicks = ticks(limits.LingerTimeout)
	drainTicks  = ticks(limits.DrainLinger)

	// By then a worker is no longer taken for an attentive one because of its last turn.
	attentiveTicks = ticks(limits.AttentiveMilliseconds*time.Millisecond) + 1
)

// deadline is the tick at which the connection has taken too long; 0 when it may take its time.
func (h *Host) deadline(c *Conn) uint32 {
	at := h.phaseDeadline(c)
	if h.writeCounts(c) {
		if w := c.wrote + h.Config.WriteTimeout + 1; at == 0 || w < at {
			at = w
		}
	}
	return at
}

// writeCounts tells whether unsent output has to make progress. That of a WebSocket need not: silence ends it.
func (h *Host) writeCounts(c *Conn) bool {
	return c.queue != 0 && h.Config.WriteTimeout > 0 && !h.isOpen(c)
}

func (h *Host) phaseDeadline(c *Conn) uint32 {
	limit := uint32(0)
	switch c.phase {
	case Head:
		limit = h.Config.HeaderTimeout
	case Idle:
		limit = h.Config.KeepAliveTimeout
	case Busy:
		return h.stageDeadline(c, h.streamOf(c))
	case Linger:
		limit = lingerTicks
	}
	if h.draining && c.unused() && (limit == 0 || limit > drainTicks) {
		limit = drainTicks
	}
	return c.after(limit)
}

// after is the tick at which the limit has passed since the last progress; 0 when there is no limit.
func (c *Conn) after(limit uint32) uint32 {
	if limit == 0 {
		return 0
	}
	return c.since + limit + 1 // the tick under way is not counted
}

func (h *Host) stageDeadline(c *Conn, s *Stream) uint32 {
	switch s.stage {
	case Body:
		if s.unread < limits.UnreadBytes && !s.expecting {
			return c.after(h.Config.BodyTimeout)
		}
	case Discard:
		return c.after(h.Config.BodyTimeout)
	case Open:
		return h.keepAliveDeadline(c)
	case Closing:
		return c.after(closeTicks)
	}
	return 0
}

// isOpen tells whether the connection is a WebSocket.
func (h *Host) isOpen(c *Conn) bool {
	return c.phase == Busy && h.streamOf(c).stage >= Open
}

// arm makes sure the connection is looked at when its deadline comes.
func (h *Host) arm(c *Conn) {
	at := h.deadline(c)
	if at != 0 && (!c.node.Armed() || c.node.At() > at) {
		h.wheel.Arm(c.number, &c.node, at)
	}
}

// TimersDue tells whether RunTimers has anything to look at.
func (h *Host) TimersDue() bool {
	at, ok := h.wheel.Next()
	return h.due.Len() > 0 || ok && at <= h.now
}

// RunTimers ends what took too long: a few connections in a turn, so that the end of thousands holds up nobody. It tells
// whether there was anything to look at.
func (h *Host) RunTimers() (any bool) {
	h.resumeAccepting()
	h.lookAgain()
	h.wheel.Run(h.now, h.due.Append)
	worked := 0
	for most := limits.ExpirePerTurn * len(h.Listeners); h.judged < h.due.Len() && worked < most; {
		i := h.due.Items()[h.judged]
		h.judged++
		if h.judge(i) {
			worked++
		}
	}
	any = h.judged > 0
	h.due.Drop(h.judged)
	h.judged = 0
	return any
}

// PutOffTimers moves the timers of deadlines that have moved away, so that they do not end a long sleep for nothing.
func (h *Host) PutOffTimers() {
	for i := range h.conns.Len() {
		c := h.conns.At(i)
		if c.phase == Closed || !c.node.Armed() {
			continue
		}
		if at := h.deadline(c); at == 0 || at > c.node.At() {
			h.wheel.Remove(i, &c.node)
			h.arm(c)
		}
	}
}

// judge ends a connection if its deadline is over and its socket holds nothing that would save it. It tells whether that took
// any work. It may be another connection than when its number became due.
func (h *Host) judge(i uint32) (worked bool) {
	c := h.conns.At(i)
	if !h.isDue(c) {
		return false
	}
	serial := c.serial
	h.WorkFor(c)
	h.fault("deadline")
	if h.look(c); c.phase != Closed && c.serial == serial && h.isDue(c) {
		h.expire(c)
		h.settle(c)
	}
	return true
}

// isDue tells whether the connection is to be ended now. It is looked at again at its deadline otherwise, or in the next tick
// when this turn has no room for it.
func (h *Host) isDue(c *Conn) bool {
	at := h.deadline(c)
	switch {
	case c.phase == Closed || at == 0:
		return false
	case at > h.now:
		h.arm(c)
		return false
	case c.waiting || !h.inbox.HasRoom():
		h.wheel.Arm(c.number, &c.node, h.now+1)
		return false
	}
	return true
}

// look takes in what the socket holds before a deadline is believed: while the app kept the loop from turning, nobody did, and
// epoll's reports may still be to come. What was found counts as progress, but for a head, which has to be whole by its time.
func (h *Host) look(c *Conn) {
	came, serial := h.came, c.serial
	c.readable = true
	if h.drive(c); h.came != came && c.serial == serial && c.phase != Closed && c.phase != Head {
		c.since = h.now
	}
}

func (h *Host) expire(c *Conn) {
	if h.writeCounts(c) && c.wrote+h.Config.WriteTimeout < h.now {
		h.expireWrite(c)
		return
	}
	if h.draining && c.unused() {
		h.mark(c, answered)
		return
	}
	switch c.phase {
	case Head:
		h.refuse(c, headTimeout)
	case Busy:
		h.expireStream(c, h.streamOf(c))
	case Linger:
		if h.isLate(c.since, lingerTicks) { // the peer was not listened to
			c.since = h.now
			h.arm(c)
			return
		}
		h.mark(c, answered)
	default:
		h.mark(c, answered)
	}
}

func (h *Host) expireStream(c *Conn, s *Stream) {
	switch s.stage {
	case Body:
		h.refuse(c, bodyTimeout)
	case Open:
		h.keepAlive(c)
	default:
		h.mark(c, answered)
	}
}

// isLate tells whether a deadline is looked at so late that the loop cannot have turned at its time.
func (h *Host) isLate(since, limit uint32) bool { return h.now-since > limit+limit/2 }

// expireWrite gives up a peer that takes nothing. Epoll tells of room only once a third of the socket's buffer is free,
// megabytes that a slow peer may take longer for than write_timeout, so whether there was progress is found out by a write.
func (h *Host) expireWrite(c *Conn) {
	wrote := c.wrote
	c.writable = true
	h.writeQueue(c)
	switch {
	case c.ending != stays:
	case c.queue != 0 && c.wrote == wrote:
		c.reset = true // nothing is kept for it
		h.mark(c, tooSlow)
	default:
		h.arm(c)
		h.putReady(c)
	}
}
