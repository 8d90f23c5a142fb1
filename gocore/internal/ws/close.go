// How a WebSocket ends: by either side's Close, by silence, by a mistake of the peer's.

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

// closeByApp: the app closes the WebSocket.
func (d *Driver) closeByApp(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	s.Silence()
	if s.Stage() == exchange.Open {
		d.beginClosing(c, s, code, reason)
	}
}

// closeForApp closes a WebSocket in the app's place, which is told.
func (d *Driver) closeForApp(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	d.reportClosed(c, s, code, reason)
	if s.Stage() == exchange.Open {
		d.beginClosing(c, s, code, reason)
	}
}

// beginClosing says our Close and waits for the peer's (RFC 6455 7.1.2). What else the peer says is dropped.
func (d *Driver) beginClosing(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	d.out.Gather(c)
	d.out.B = websocket.AppendClose(d.out.B, code, reason)
	s.StopNotifying()
	s.Forget()
	d.streams.Enter(c, s, exchange.Closing)
	d.loop.Timers.Arm(c)
	if c.HasInput() {
		d.loop.PutReady(c)
	}
}

// reportClosed tells the app how its WebSocket ended, unless it has said its last.
func (d *Driver) reportClosed(c *transport.Conn, s *exchange.Stream, code uint16, reason []byte) {
	if s.Complete() {
		return
	}
	s.Silence()
	d.loop.Inbox.Add(handoff.Event{Kind: handoff.EventWSClose, Flags: uint32(code), Stream: s.Handle(),
		Data: handoff.Pointer(reason), Len: uint64(len(reason))})
}

// closedByPeer: the peer's Close is answered, unless it is the answer to ours, and the server is the first to close the connection
// (RFC 6455 7.1.1).
func (d *Driver) closedByPeer(c *transport.Conn, s *exchange.Stream, p *websocket.Piece) {
	if s.Stage() == exchange.Open {
		d.reportClosed(c, s, p.Code, p.Bytes)
		d.out.Gather(c)
		d.out.B = websocket.AppendClose(d.out.B, p.Code, nil)
	}
	d.part(c, s)
}

// failPeer ends a WebSocket whose peer is wrong (RFC 6455 7.1.7). It may still be sending, and must not lose our Close for that.
func (d *Driver) failPeer(c *transport.Conn, s *exchange.Stream, why *websocket.Failure) {
	lines := d.loop.Journal
	if lines.Debugs() {
		lines.Debug(fmt.Sprintf("%s: %s (%s); closed with %d while %s", c.Peer(), why.Reason, why.Section, why.Code, d.loop.Doing(c)))
	}
	if why.Code == websocket.TooBig {
		lines.Refused(journal.WSMaxSize, d.config.WSMaxBytes, d.loop.Clock.Now)
	}
	if s.Stage() == exchange.Open {
		reason := handoff.Static(why.Reason)
		d.reportClosed(c, s, why.Code, reason)
		d.out.Gather(c)
		d.out.B = websocket.AppendClose(d.out.B, why.Code, reason)
	}
	c.Linger = true
	d.part(c, s)
}

// part ends the connection once all is sent.
func (d *Driver) part(c *transport.Conn, s *exchange.Stream) {
	s.Silence()
	d.Gone(c)
	d.loop.Input.Unpark(c)
	d.loop.Enter(c, transport.Flush)
}

// keepAliveDeadline is when the peer has been silent for too long. It counts from what came last, or from our last Ping; not while
// nothing is read because the app has enough to do.
func (d *Driver) keepAliveDeadline(c *transport.Conn, s *exchange.Stream) uint32 {
	if d.config.WSKeepAliveTimeout == 0 || s.Paused() {
		return 0
	}
	return d.lastSign(c, s) + d.config.WSKeepAliveTimeout + 1
}

// lastSign is when the peer last had something to say or to answer. One that takes what was said is there too, and a Ping may
// be behind it.
func (d *Driver) lastSign(c *transport.Conn, s *exchange.Stream) uint32 {
	at := max(c.Since, d.stateOf(s).pinged)
	if wrote, unsent := c.Wrote(); unsent {
		at = max(at, wrote)
	}
	return at
}

// keepAlive asks a silent peer whether it is there, and leaves one that had an interval to answer and has not. When the loop
// did not turn at the interval's end, it is asked once more.
func (d *Driver) keepAlive(c *transport.Conn, s *exchange.Stream) {
	w := d.stateOf(s)
	late := d.loop.Clock.IsLate(d.lastSign(c, s), d.config.WSKeepAliveTimeout)
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
