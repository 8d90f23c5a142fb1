// How a websocket ends: by either side's Close, by a silent peer, by a peer's error.

package ws

import (
	"fmt"

	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

var closeTicks = limits.Ticks(limits.CloseTimeout)

// closeByApp closes the websocket for the app.
func (d *Driver) closeByApp(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	s.Detach()
	if s.Stage() == exchange.Open {
		d.beginClosing(c, s, code, reason)
	}
}

// closeForApp closes a websocket in the app's place and notifies the app.
func (d *Driver) closeForApp(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	d.reportClosed(c, s, code, reason)
	if s.Stage() == exchange.Open {
		d.beginClosing(c, s, code, reason)
	}
}

// beginClosing sends our Close and waits for the peer's (RFC 6455 7.1.2). Other input from the peer is dropped.
func (d *Driver) beginClosing(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	d.out.Gather(c)
	d.out.B = websocket.AppendClose(d.out.B, code, reason)
	s.ClosedWith(code)
	s.StopNotifying()
	s.Forget()
	d.streams.Enter(c, s, exchange.Closing)
	d.loop.Timers.Arm(c)
	if c.HasInput() {
		d.loop.PutReady(c)
	}
}

// reportClosed notifies the app of how its WebSocket ended, unless the app has finished.
func (d *Driver) reportClosed(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	if s.Complete() {
		return
	}
	s.Detach()
	d.loop.Inbox.Add(handoff.Event{Kind: handoff.EventWSClose, Flags: uint32(code), Stream: s.Handle(),
		Data: handoff.Pointer(reason), Len: uint64(len(reason))})
}

// closedByPeer responds to the peer's Close, unless that was the response to ours. The server is the first to close the connection
// (RFC 6455 7.1.1).
func (d *Driver) closedByPeer(c *transport.Conn, s *exchange.Stream, p *websocket.Piece) {
	s.ClosedWith(p.Code)
	if s.Stage() == exchange.Open {
		d.reportClosed(c, s, p.Code, p.Bytes)
		d.out.Gather(c)
		d.out.B = websocket.AppendClose(d.out.B, p.Code, nil)
	}
	d.part(c, s)
}

// failPeer ends a websocket after a peer's error (RFC 6455 7.1.7). The peer may still be sending, so the socket lingers until the peer has our Close.
func (d *Driver) failPeer(c *transport.Conn, s *exchange.Stream, why *websocket.Failure) {
	lines := d.loop.Journal
	if lines.Debugs() {
		lines.Debug(fmt.Sprintf("%s: %s (%s); closed with %d while %s", c.Peer(), why.Reason, why.Section, why.Code, d.loop.Doing(c)))
	}
	if why.Code == websocket.TooBig {
		d.loop.CountLimit(journal.WSMaxSize)
		lines.Refused(journal.WSMaxSize, d.config.WSMaxBytes, d.loop.Clock.Now)
	}
	s.ClosedWith(why.Code)
	if s.Stage() == exchange.Open {
		reason := handoff.Static(why.Reason)
		d.reportClosed(c, s, why.Code, reason)
		d.out.Gather(c)
		d.out.B = websocket.AppendClose(d.out.B, why.Code, reason)
	}
	c.Linger = true
	d.part(c, s)
}

// part ends the connection once everything is sent.
func (d *Driver) part(c *transport.Conn, s *exchange.Stream) {
	s.Detach()
	d.Gone(c)
	d.loop.Input.Unpark(c)
	d.loop.Enter(c, transport.Flush)
}

// keepAliveDeadline is the tick at which the peer has been silent for too long, counted from its last input or our last Ping. There is
// no deadline while reading is paused.
func (d *Driver) keepAliveDeadline(c *transport.Conn, s *exchange.Stream) uint32 {
	if d.config.WSKeepAliveTimeout == 0 || s.Paused() {
		return 0
	}
	return d.lastSeen(c, s) + d.config.WSKeepAliveTimeout + 1
}

// lastSeen is the tick of the peer's last sign of life, or of our last Ping. A peer that reads our output is alive too, and a Ping may
// be queued behind that output.
func (d *Driver) lastSeen(c *transport.Conn, s *exchange.Stream) uint32 {
	at := max(c.Since, d.stateOf(s).pinged)
	if wrote, unsent := c.Wrote(); unsent {
		at = max(at, wrote)
	}
	return at
}

// keepAlive sends a silent peer a Ping, and closes the connection if the peer has not responded within an interval. If the loop did
// not run when the interval ended, it sends another Ping instead.
func (d *Driver) keepAlive(c *transport.Conn, s *exchange.Stream) {
	w := d.stateOf(s)
	late := d.loop.Timers.IsLate(d.lastSeen(c, s), d.config.WSKeepAliveTimeout)
	if _, unsent := c.Wrote(); w.asked && unsent {
		if d.loop.Timers.TryToWrite(c); c.Ends() || !d.loop.Timers.IsDue(c) {
			return
		}
	}
	if w.asked && !late {
		d.reportClosed(c, s, websocket.Vanished, handoff.Static(transport.Silent.String()))
		d.loop.Mark(c, transport.Silent)
		return
	}
	w.asked, w.pinged = true, d.loop.Clock.Now
	d.out.Gather(c)
	d.out.B = websocket.AppendHeader(d.out.B, websocket.OpPing, 0)
	d.loop.Timers.Arm(c)
}
