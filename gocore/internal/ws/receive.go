// The peer's frames -> messages for the app.

package ws

import (
	"math"

	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// readFrames reads on unless the app has enough unread input.
func (d *Driver) readFrames(c *transport.Conn, s *exchange.Stream) step {
	if s.Paused() {
		return wait
	}
	buf, fresh, ok := d.loop.Input.Take(c)
	if !ok {
		return wait
	}
	if fresh && s.Stage() == exchange.Open {
		c.Since = d.loop.Clock.Now
		d.stateOf(s).asked = false
	}
	d.loop.Inbox.Keep(len(buf))
	return d.takeFrames(c, s, buf)
}

// takeFrames processes the input, and parks what has to wait: for more input, for the app, or for room.
func (d *Driver) takeFrames(c *transport.Conn, s *exchange.Stream, buf []byte) step {
	w := d.stateOf(s)
	before := s.Unread()
	for !s.Paused() && d.loop.Inbox.HasRoom() {
		n := w.decoder.Next(&d.piece, buf)
		if d.piece.Kind == websocket.Failed && s.Unread() != before { // let the app respond to earlier input first
			d.loop.PutOff(c)
			break
		}
		buf = buf[n:]
		if d.piece.Kind == websocket.Nothing {
			return step(d.loop.Input.ParkBeginning(c, buf))
		}
		if d.take(c, s, w, &d.piece) == wait {
			return wait
		}
	}
	if !d.loop.Input.Park(c, buf) || c.Waiting() {
		return wait
	}
	return again
}

// take processes a piece of the peer's input; wait: it was the last one.
func (d *Driver) take(c *transport.Conn, s *exchange.Stream, w *state, p *websocket.Piece) step {
	switch p.Kind {
	case websocket.Data:
		return d.pass(c, s, w, p)
	case websocket.Ping:
		return d.sendPong(c, s, w, p.Bytes)
	case websocket.Close:
		d.closedByPeer(c, s, p)
		return wait
	case websocket.Failed:
		d.failPeer(c, s, p.Failure)
		return wait
	}
	return again
}

// pass passes a piece of a message to the app. A message adds to the unread count once it is complete.
func (d *Driver) pass(c *transport.Conn, s *exchange.Stream, w *state, p *websocket.Piece) step {
	if s.Stage() != exchange.Open {
		return again
	}
	if p.Compressed {
		return d.unpack(c, s, w, p)
	}
	if p.First && (p.Coming > 0 || !p.Last) {
		d.loop.Inbox.Add(handoff.Event{Kind: handoff.EventWSExpect, Stream: s.Handle(), Len: uint64(len(p.Bytes)) + p.Coming})
	}
	if len(p.Bytes) > 0 || p.Last {
		d.give(c, s, p.Bytes, p.Text, p.Last)
	}
	if p.Last {
		count(s, p.Total)
	}
	return again
}

// count adds a message of n octets to the unread count.
func count(s *exchange.Stream, n uint64) {
	s.Count(uint32(min(n, math.MaxInt32)), limits.MessageCostBytes)
}

// give passes bytes of a message to the app.
func (d *Driver) give(c *transport.Conn, s *exchange.Stream, b []byte, text, last bool) {
	s.Received += uint64(len(b))
	var flags uint32
	if text {
		flags |= handoff.EventText
	}
	if last {
		flags |= handoff.EventLast
		if f := d.loop.Figures; f != nil {
			f.MessagesIn++
		}
	}
	d.loop.Inbox.Add(handoff.Event{Kind: handoff.EventWSData, Flags: flags, Stream: s.Handle(), Data: handoff.Pointer(b), Len: uint64(len(b))})
}

// consumed subtracts n bytes that the app has consumed, and resumes reading if it was paused.
func (d *Driver) consumed(c *transport.Conn, s *exchange.Stream, n uint32) {
	if resumes, _ := s.Consumed(n); resumes && s.Stage() == exchange.Open {
		c.Since = d.loop.Clock.Now
		d.stateOf(s).asked = false // while paused, a Pong was not read
		d.loop.Timers.Arm(c)
		d.loop.PutReady(c)
	}
}

// sendPong sends a Pong at once. If much is unsent, only the last Ping gets a Pong, once there is room (RFC 6455 5.5.3).
func (d *Driver) sendPong(c *transport.Conn, s *exchange.Stream, w *state, payload []byte) step {
	if s.Stage() != exchange.Open {
		return again
	}
	d.dropPong(w)
	if d.out.Unsent(c) > limits.LowWaterBytes {
		d.keepPong(w, payload)
		return again
	}
	d.out.Gather(c)
	d.out.B = append(websocket.AppendHeader(d.out.B, websocket.OpPong, len(payload)), payload...)
	if len(d.out.B) > limits.ReadBytes {
		d.out.FlushOf(c)
	}
	return step(!c.Ends())
}

// keepPong keeps the payload for a later Pong. If memory runs out the peer gets no Pong, as if the Ping had been lost.
func (d *Driver) keepPong(w *state, payload []byte) {
	buffer, err := d.loop.Input.Borrow(limits.MaxControlBytes)
	if err != nil {
		return
	}
	w.pong, w.owed = buffer, uint8(copy(buffer.Bytes(), payload))
}

func (d *Driver) dropPong(w *state) {
	if !w.pong.None() {
		d.loop.Input.Return(w.pong)
		w.pong = pool.Buffer{}
	}
}

// sendLatePong sends a pending Pong once little output is unsent.
func (d *Driver) sendLatePong(c *transport.Conn, s *exchange.Stream) {
	w := d.stateOf(s)
	if w.pong.None() || s.Stage() != exchange.Open || d.out.Unsent(c) > limits.LowWaterBytes {
		return
	}
	d.out.Gather(c)
	d.out.B = append(websocket.AppendHeader(d.out.B, websocket.OpPong, int(w.owed)), w.pong.Bytes()[:w.owed]...)
	d.dropPong(w)
}
