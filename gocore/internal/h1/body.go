// A request body: bytes in, pieces for the app out.

package h1

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// readBody reads on unless the app has enough unread input.
func (d *Driver) readBody(c *transport.Conn, s *exchange.Stream) step {
	if s.Paused() {
		return wait // a closed connection is noticed at the app's next read or write
	}
	buf, ok := d.readPiece(c, s)
	if !ok {
		return wait
	}
	body, behind, refusal := d.decode(s, buf)
	if refusal == nil && d.streams.Oversized(s) {
		refusal = exchange.BodyTooLarge
	}
	if refusal != nil {
		d.refuse(c, refusal)
		return wait
	}
	if len(body) > 0 { // chunk framing alone is no progress
		c.Since = d.loop.Clock.Now
	}
	if !s.BodyDone {
		s.CountPiece(body)
	}
	if len(body) > 0 || s.BodyDone {
		d.loop.Inbox.Keep(len(buf))
		d.streams.PassPiece(s, body)
	}
	if !d.loop.Input.Park(c, behind) {
		return wait
	}
	if s.BodyDone {
		d.streams.Enter(c, s, exchange.Responding)
		if s.Watched {
			d.loop.Timers.Arm(c)
		}
	}
	return again
}

// readPiece reads into the arena, but never beyond a declared length: what follows stays in the socket.
func (d *Driver) readPiece(c *transport.Conn, s *exchange.Stream) (buf []byte, ok bool) {
	inbox, inChunks := d.loop.Inbox, s.Own != 0
	size := min(len(inbox.Free())-inbox.View(), limits.ReadBytes)
	if !inChunks {
		size = int(min(uint64(max(size, 0)), s.Left))
	}
	if size < limits.ReadFloorBytes && (inChunks || uint64(size) < s.Left) || !inbox.HasRoom() {
		d.loop.PutOff(c)
		return nil, false
	}
	buf = inbox.Free()[:size]
	n, ok := d.loop.Input.Read(c, buf)
	return buf[:n:n], ok
}

// decode extracts the body from b in place, moving it to the front of b. behind is what follows the request.
func (d *Driver) decode(s *exchange.Stream, b []byte) (body, behind []byte, refusal *message.Refusal) {
	if s.Own != 0 {
		body, behind, s.BodyDone, refusal = decodeChunks(d.chunks.At(s.Own-1), b)
	} else {
		n := min(uint64(len(b)), s.Left)
		s.Left -= n
		s.BodyDone = s.Left == 0
		body, behind = b[:n], b[n:]
	}
	s.CountReceived(len(body))
	return body, behind, refusal
}

func decodeChunks(chunked *http1.Chunked, b []byte) (body, behind []byte, done bool, refusal *message.Refusal) {
	filled := 0
	for rest := b; !done && len(rest) > 0; {
		var data []byte
		var n int
		data, n, done, refusal = chunked.Next(rest)
		if refusal != nil {
			return nil, nil, false, refusal
		}
		filled += copy(b[filled:], data)
		rest = rest[n:]
		behind = rest
		if n == 0 {
			break
		}
	}
	return b[:filled], behind, done, nil
}

// consumed subtracts n bytes that the app has consumed, and resumes reading if it was paused.
func (d *Driver) consumed(c *transport.Conn, s *exchange.Stream, n uint32) {
	if _, reads := s.Consumed(n); reads && s.Stage() == exchange.Body {
		c.Since = d.loop.Clock.Now
		d.loop.Timers.Arm(c)
		d.loop.PutReady(c)
	}
}

// discardBody discards the rest of the body, to keep the connection for the next request.
func (d *Driver) discardBody(c *transport.Conn, s *exchange.Stream) step {
	buf, ok := d.readPiece(c, s)
	if !ok {
		return wait
	}
	before := s.Received
	_, behind, refusal := d.decode(s, buf)
	if refusal != nil || s.Received > limits.DiscardBytes {
		c.Last, c.Linger = true, true
		d.end(c)
		return again
	}
	if s.Received > before {
		c.Since = d.loop.Clock.Now
	}
	if !d.loop.Input.Park(c, behind) {
		return wait
	}
	if s.BodyDone {
		d.next(c)
	}
	return again
}
