// Responses in place of the app's.

package h1

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// refuse responds in place of the app and ends the connection. What follows the request is never parsed as another request.
func (d *Driver) refuse(c *transport.Conn, r *message.Refusal) {
	if !exchange.ByApp(r) {
		limit, most := d.limitOf(r)
		d.streams.Refused(c, r, limit, most)
	}
	method, read := "", false
	if c.Stream != 0 {
		s := d.streamOf(c)
		if s.Started {
			d.abort(c, s)
			return
		}
		d.streams.Measure(s)
		if read = s.BodyDone; s.Response.HEAD {
			method = "HEAD"
		}
	}
	d.streams.Responded(r.Status)
	c.Linger = c.Linger || !read // a peer whose request is complete sends no more of it
	c.Last = true
	d.Gone(c)
	d.loop.Input.Unpark(c)
	d.out.Gather(c)
	d.out.B = http1.AppendRefusal(d.out.B, r, method, &d.defaults)
	d.loop.Enter(c, transport.Flush)
}

// limitOf is the limit that caused a refusal, and its value.
func (d *Driver) limitOf(r *message.Refusal) (journal.Limit, uint64) {
	switch r {
	case http1.LineTooLong:
		return journal.MaxRequestLine, uint64(d.config.MaxHead.LineBytes)
	case http1.HeadTooLarge:
		return journal.MaxRequestHead, uint64(d.config.MaxHead.HeadBytes)
	case http1.TooManyFields:
		return journal.MaxRequestFields, uint64(d.config.MaxHead.Fields)
	case exchange.BodyTooLarge:
		return journal.MaxRequestBody, d.config.MaxRequestBody
	case http1.EmptyLines:
		return journal.EmptyLines, uint64(r.Limit)
	case http1.MethodTooLong:
		return journal.Method, uint64(r.Limit)
	case http1.HugeChunk:
		return journal.ChunkSize, uint64(r.Limit)
	case http1.ExtensionTooLong:
		return journal.ChunkExtension, uint64(r.Limit)
	case http1.TrailerTooLarge:
		return journal.Trailers, uint64(r.Limit)
	case websocket.ManySubprotocols:
		return journal.Subprotocols, uint64(r.Limit)
	}
	return journal.NoLimit, 0
}
