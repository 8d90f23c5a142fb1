// How a WebSocket ends: by either side's Close, by silence, by a mistake of the peer's.  per connection

package conn

import (
	"fmt"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/websocket"
)

var closeTicks = ticks(limits.CloseTimeout)

// closeByApp: the app closes the WebSocket. One that it has not accepted is refused.
func (h *Host) closeByApp(c *Conn, s *Stream, code uint16, reason []byte) {
	s.complete = true
	switch {
	case s.stage == Open:
		h.beginClosing(c, s, code, reason)
	case !s.started:
		h.refuse(c, appDeclined)
	}
}

// farewell closes a WebSocket in the app's place, which is told.
func (h *Host) farewell(c *Conn, code uint16, reason []byte) {
	s := h.streamOf(c)
	h.tellClosed(c, s, code, reason)
	h.beginClosing(c, s, code, reason)
}

// beginClosing says our Close and waits for the peer's (RFC 6455 7.1.2). What else the peer says is not heeded any more.
func (h *Host) beginClosing(c *Conn, s *Stream, code uint16, reason []byte) {
	h.gather(c)
	h.out.buf.B = websocket.AppendClose(h.out.buf.B, code, reason)
	s.notify, s.unread = false, 0
	h.enterStage(c, s, Closing)
	h.arm(c)
	if c.readable || c.held > 0 {
		h.putReady(c)
	}
}

// tellClosed tells the app how its WebSocket ended, unless it has said its last word.
func (h *Host) tellClosed(c *Conn, s *Stream, code uint16, reason []byte) {
	if s.complete {
		return
	}
	s.complete = true
	h.inbox.Add(handoff.Event{Kind: handoff.EventWSClose, Flags: uint32(code), Stream: s.handle(c.stream - 1),
		Data: handoff.Pointer(reason), Len: uint64(len(reason))})
}

// closedByPeer: the peer's Close is answered, unless it is the answer to ours, and the server is the first to close the connection
// (RFC 6455 7.1.1).
func (h *Host) closedByPeer(c *Conn, s *Stream, p *websocket.Piece) {
	if s.stage == Open {
		h.tellClosed(c, s, p.Code, p.Bytes)
		h.gather(c)
		h.out.buf.B = websocket.AppendClose(h.out.buf.B, p.Code, nil)
	}
	h.part(c)
}

// failPeer ends a WebSocket whose peer is wrong (RFC 6455 7.1.7). It may still be sending, and must not lose our Close for that.
func (h *Host) failPeer(c *Conn, s *Stream, why *websocket.Failure) {
	if h.Config.Debug {
		h.log(handoff.LogDebug, fmt.Sprintf("%s: %s (%s); closed with %d while %s", c.peer(), why.Reason, why.Section, why.Code, h.doing(c)))
	}
	h.tellLimit(limitOfFailure(why))
	if s.stage == Open {
		reason := handoff.Static(why.Reason)
		h.tellClosed(c, s, why.Code, reason)
		h.gather(c)
		h.out.buf.B = websocket.AppendClose(h.out.buf.B, why.Code, reason)
	}
	c.linger = true
	h.part(c)
}

// part ends the connection once all is sent.
func (h *Host) part(c *Conn) {
	h.streamOf(c).complete = true
	h.dropStream(c)
	h.unpark(c)
	c.last = true
	h.enter(c, Flush)
}

// keepAliveDeadline is when the peer has been silent for too long. It counts from what came last, or from our last Ping; not while
// we do not listen because the app has enough to do.
func (h *Host) keepAliveDeadline(c *Conn) uint32 {
	s := h.streamOf(c)
	if h.Config.WSKeepAliveTimeout == 0 || s.unread >= limits.UnreadBytes {
		return 0
	}
	return h.lastSign(c) + h.Config.WSKeepAliveTimeout + 1
}

// lastSign is when the peer last had something to say or to answer. One that takes what was said is there too, and a Ping may
// be behind it.
func (h *Host) lastSign(c *Conn) uint32 {
	at := max(c.since, h.socketOf(h.streamOf(c)).pinged)
	if c.queue != 0 {
		at = max(at, c.wrote)
	}
	return at
}

// keepAlive asks a silent peer whether it is there, and leaves one that had an interval to answer and has not. When the loop
// did not turn at the interval's end, it is asked once more.
func (h *Host) keepAlive(c *Conn) {
	s := h.streamOf(c)
	w := h.socketOf(s)
	late := h.isLate(h.lastSign(c), h.Config.WSKeepAliveTimeout)
	if w.asked && c.queue != 0 {
		c.writable = true
		if h.writeQueue(c); c.ending != stays || !h.isDue(c) {
			h.putReady(c)
			return
		}
	}
	if w.asked && !late {
		h.tellClosed(c, s, websocket.Vanished, handoff.Static(silent.String()))
		h.mark(c, silent)
		return
	}
	w.asked, w.pinged = true, h.now
	h.gather(c)
	h.out.buf.B = websocket.AppendHeader(h.out.buf.B, websocket.OpPing, 0)
	h.arm(c)
}
