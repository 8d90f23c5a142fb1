//go:build full

// Room for handshakes: each holds a goroutine, so their number is limited, and those that wait for a slow peer make room for others.

package transport

import "saltare/gocore/internal/limits"

// candidate is a connection with a complete first message, for whose handshake there is no room.
type candidate struct {
	conn uint32
	next uint32 // tick at which it asks for room again
}

// wait puts a handshake last in the list of those that wait for their peer, if it is not there.
func (h *handshakes) wait(one *handshake, now uint32) {
	if one.waits == nil {
		one.since = now
		one.waits = h.waiting.PushBack(one)
	}
}

// resume: its peer has answered, or its connection ends.
func (h *handshakes) resume(one *handshake) {
	if one.waits != nil {
		h.waiting.Remove(one.waits)
		one.waits = nil
	}
}

// queueHandshake queues a connection, and makes room for one.
func (t *layer) queueHandshake(c *Conn) {
	h, now := &t.handshakes, t.loop.Clock.Now
	place := h.queued[c.number]
	again := now + retryTicks + 1
	if place == nil {
		place = h.queue.PushBack(&candidate{conn: c.number})
		h.queued[c.number] = place
		if longest := h.waiting.Front(); longest != nil {
			again = min(again, max(now, longest.Value.(*handshake).since+stallTicks)+1)
		}
	}
	place.Value.(*candidate).next = again
	t.loop.Timers.Arm(c)
	t.endStalled()
}

// endStalled closes the handshake that has waited longest for its peer, if that was long.
func (t *layer) endStalled() {
	h := &t.handshakes
	for longest := h.waiting.Front(); longest != nil; longest = h.waiting.Front() {
		one := longest.Value.(*handshake)
		if t.loop.Clock.Now-one.since <= stallTicks {
			return
		}
		h.resume(one)
		if c := t.loop.conns.At(one.conn); !c.Ends() {
			t.failed(c, "the client was too slow, and others were waiting")
			t.loop.Mark(c, Unshaken)
			return
		}
	}
}

// ended gives the room of a handshake to a connection in the queue: by turns to the one that has waited longest, and to the last one. So
// a client gets room soon although thousands that stall have come before it, and each gets some at last.
func (t *layer) ended(one *handshake) {
	h := &t.handshakes
	h.resume(one)
	delete(h.running, one.conn)
	for h.queue.Len() > 0 && len(h.running) < limits.MostHandshakes {
		place := h.queue.Front()
		if h.newest = !h.newest; h.newest {
			place = h.queue.Back()
		}
		number := place.Value.(*candidate).conn
		h.unqueue(number)
		if c := t.loop.conns.At(number); !c.Ends() {
			t.runHandshake(c)
		}
	}
}

func (h *handshakes) unqueue(number uint32) {
	if place := h.queued[number]; place != nil {
		h.queue.Remove(place)
		delete(h.queued, number)
	}
}

// dropHandshake cancels the handshake of a connection that is being closed.
func (t *layer) dropHandshake(c *Conn) {
	h := &t.handshakes
	if c.phase == Handshake {
		h.unqueue(c.number)
	}
	if one := h.running[c.number]; one != nil {
		one.Cancel()
		t.ended(one)
		if c.ending == PeerClosed || c.ending == PeerReset {
			t.failed(c, "the client closed the connection")
		}
	}
}

// deadline is that of header_timeout, and for a connection in the queue the next try.
func (t *layer) deadline(c *Conn) uint32 {
	at := c.After(t.loop.Config.HeaderTimeout)
	if t.loop.draining {
		at = c.After(drainTicks)
	}
	if place := t.handshakes.queued[c.number]; place != nil {
		if next := place.Value.(*candidate).next; at == 0 || next < at {
			return next
		}
	}
	return at
}

func (t *layer) expire(c *Conn) {
	h := &t.handshakes
	if limit := t.loop.Config.HeaderTimeout; limit > 0 && c.After(limit) <= t.loop.Clock.Now {
		if c.held > 0 || h.running[c.number] != nil {
			t.failed(c, "it was not complete within header_timeout")
		}
		t.loop.Mark(c, Unshaken)
		return
	}
	if h.queued[c.number] != nil {
		t.startHandshake(c)
	}
	t.loop.Timers.Arm(c)
}
