// Responses in the app's place.

package h1

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// refuse answers in the app's place and ends the connection; what follows the request is never parsed as another.
func (d *Driver) refuse(c *transport.Conn, r *message.Refusal) {
	if r != exchange.AppFailed && r != exchange.AppDeclined {
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
		if read = s.BodyDone; s.Response.HEAD {
			method = "HEAD"
		}
	}
	c.Linger = c.Linger || !read // nothing more is to come of a peer whose request was read to its end
	c.Last = true
	d.Gone(c)
	d.loop.Input.Unpark(c)
	d.out.Gather(c)
	d.out.B = http1.AppendRefusal(d.out.B, r, method, &d.defaults)
	d.loop.Enter(c, transport.Flush)
}

// limitOf is the option that a refusal is due to, and its value.
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
	}
	return journal.NoLimit, 0
}
