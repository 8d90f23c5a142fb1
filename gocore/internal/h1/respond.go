// The head, the body and the trailers of a response. message/framing.go decides how the body is framed.

package h1

import (
	"fmt"

	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

func (d *Driver) start(c *transport.Conn, s *exchange.Stream, k *handoff.Command, fields []byte) {
	status := uint16(k.Arg)
	if s.Started {
		return
	}
	if status < 200 {
		d.hint(c, s, status, fields)
		return
	}
	r := d.response(c, s, status)
	if k.Flags&handoff.CommandWhole != 0 {
		r.Whole, r.ContentLength = true, int64(handoff.WholeBody(k))
	}
	d.writeHead(c, s, fields)
}

// response sets the status of the stream's response, and whether the connection ends after it.
func (d *Driver) response(c *transport.Conn, s *exchange.Stream, status uint16) *message.Response {
	r := &s.Response
	r.Status = status
	r.Close = r.Close || d.isLast(c, s)
	return r
}

// writeHead writes the head of the stream's response.
func (d *Driver) writeHead(c *transport.Conn, s *exchange.Stream, fields []byte) {
	r := &s.Response
	d.out.Gather(c)
	bytes, err := http1.AppendHead(d.out.B, r, fields, &d.defaults)
	d.out.B = bytes
	if err != nil {
		d.loop.AppError(c, err.Error())
		d.abort(c, s)
		return
	}
	d.streams.Answered(s)
	d.streams.Responded(int(r.Status))
	c.Last = c.Last || r.Close
	c.Linger = c.Linger || s.Expecting
	if d.loop.Draining() {
		d.drainStream(c, s)
	}
}

// isLast tells whether the connection is already known to end after this response, so that the head can say so.
func (d *Driver) isLast(c *transport.Conn, s *exchange.Stream) bool {
	switch {
	case d.loop.Draining(), s.Expecting, d.spent(c), d.loop.Outlived(c):
		return true
	case s.WebSocket: // frames may follow, which are not a request
		return true
	case !s.BodyDone && s.Left > limits.DiscardBytes: // too much to read for the sake of the next request
		return true
	}
	return c.AtEnd()
}

// hint sends an interim response before the final one (RFC 9110 15.2). Only a bug in the bridge makes it fail.
func (d *Driver) hint(c *transport.Conn, s *exchange.Stream, status uint16, fields []byte) {
	r := message.Response{Status: status, Minor: s.Response.Minor}
	d.out.Gather(c)
	bytes, err := http1.AppendHead(d.out.B, &r, fields, &d.defaults)
	d.out.B = bytes
	if err != nil {
		d.loop.AppError(c, err.Error())
	}
}

// spent tells whether max_keepalive_requests is reached.
func (d *Driver) spent(c *transport.Conn) bool {
	return d.config.MaxKeepAliveRequests > 0 && c.Requests >= d.config.MaxKeepAliveRequests
}

// piece sends a part of the body in the response's framing; if more is false it is the last part.
func (d *Driver) piece(c *transport.Conn, s *exchange.Stream, p transport.Piece, more bool) {
	switch s.Give(p.Size()) {
	case exchange.Send:
		d.frame(c, s.Response.Mode, p)
		if s.Watched && !d.endsWhenTold(s) {
			c.Since = d.loop.Clock.Now
		}
	case exchange.Swallow:
		d.out.ReleasePiece(p)
	case exchange.TooMuch:
		d.out.ReleasePiece(p)
		d.wrongLength(c, s, "more", p.Size())
		return
	}
	if !more {
		d.lastPiece(c, s)
	}
}

func (d *Driver) frame(c *transport.Conn, mode message.BodyMode, p transport.Piece) {
	out := d.out
	out.Gather(c)
	d.loop.Fault("piece")
	if mode != message.BodyChunked {
		out.Add(p)
		return
	}
	out.B = http1.AppendChunkHeader(out.B, p.Size())
	out.Add(p)
	out.B = append(out.B, '\r', '\n')
}

func (d *Driver) lastPiece(c *transport.Conn, s *exchange.Stream) {
	switch {
	case s.IsShort():
		d.wrongLength(c, s, "less", 0)
		return
	case s.Response.Mode == message.BodyChunked:
		d.out.Gather(c)
		d.out.B = append(d.out.B, http1.LastChunk...)
	}
	d.complete(c, s)
}

// wrongLength handles a body that differs from its declared length: the peer must not take it for a complete response.
func (d *Driver) wrongLength(c *transport.Conn, s *exchange.Stream, than string, n int) {
	d.streams.WrongLength(c, s, than, n)
	d.abort(c, s)
}

// trailers replace the last piece of a response. Only a chunked body has room for them.
func (d *Driver) trailers(c *transport.Conn, s *exchange.Stream, fields []byte, more bool) {
	if s.Response.Mode != message.BodyChunked || !s.Started {
		if !more {
			d.lastPiece(c, s)
		}
		return
	}
	d.out.Gather(c)
	bytes, leftOut, err := http1.AppendTrailers(d.out.B, fields, !s.Trailing, !more)
	d.out.B = bytes
	s.Trailing = true
	switch {
	case err != nil:
		d.loop.AppError(c, err.Error())
		d.abort(c, s)
		return
	case leftOut != "":
		d.loop.AppError(c, fmt.Sprintf("a trailer named %s is not allowed (RFC 9110 6.5.1) and was left out", leftOut))
	}
	if !more {
		d.complete(c, s)
	}
}
