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

// refuse responds in place of the app. Unless the refusal keeps the connection, that ends, and what follows the request is never parsed
// as another request.
func (d *Driver) refuse(c *transport.Conn, r *message.Refusal) {
	if !exchange.ByApp(r) {
		limit, most := d.limitOf(c, r)
		d.streams.Refused(c, r, limit, most)
	}
	response, read, keeps := message.Response{Minor: 1}, false, false
	var s *exchange.Stream
	if c.Stream != 0 {
		s = d.streamOf(c)
		if s.Started {
			d.abort(c, s)
			return
		}
		d.streams.Measure(s)
		read = s.BodyDone
		keeps = r.Keeps && read && !s.Response.Close && !d.isLast(c, s)
		response.HEAD = s.Response.HEAD
		if keeps {
			response.Minor = s.Response.Minor
		}
	}
	d.streams.Responded(r.Status)
	d.streams.RecordRefusal(c, s, r, http1.RefusalBytes(r.Status))
	response.Close = !keeps
	defaults := d.defaultsFor(s, nil)
	c.Linger = c.Linger || !read // a peer whose request is complete sends no more of it
	c.Last = c.Last || !keeps
	d.Gone(c)
	if !keeps {
		d.loop.Input.Unpark(c)
	}
	d.out.Gather(c)
	d.out.B = http1.AppendRefusal(d.out.B, r, response, defaults)
	d.loop.Enter(c, transport.Flush)
}

// limitOf is the limit that caused a refusal, and its value.
func (d *Driver) limitOf(c *transport.Conn, r *message.Refusal) (journal.Limit, uint64) {
	switch r {
	case http1.LineTooLong:
		return journal.MaxRequestLine, uint64(d.config.MaxHead.LineBytes)
	case http1.HeadTooLarge:
		return journal.MaxRequestHead, uint64(d.config.MaxHead.HeadBytes)
	case http1.TooManyFields:
		return journal.MaxRequestFields, uint64(d.config.MaxHead.Fields)
	case exchange.BodyTooLarge:
		return d.bodyLimit(c)
	case exchange.Overdue:
		return journal.RequestTimeout, 0
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
	case exchange.HeadTimeout:
		return journal.HeaderTimeout, 0
	case exchange.BodyTimeout:
		return journal.BodyTimeout, 0
	case exchange.TooManyRequests:
		return journal.RateLimit, uint64(d.config.RateLimit)
	case exchange.Busy:
		return journal.LimitConcurrency, uint64(d.config.LimitConcurrency)
	}
	return journal.NoLimit, 0
}
