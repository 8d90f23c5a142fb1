// After a response: the rest of the request's body, the next request, or the end of the connection.

package h1

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/transport"
)

// complete handles the end of the app's response. The response is over once its last byte is sent.
func (d *Driver) complete(c *transport.Conn, s *exchange.Stream) {
	d.streams.Measure(s)
	s.Finish()
	switch {
	case !s.BodyDone:
		d.streams.Enter(c, s, exchange.Discard)
	case s.IsRecorded(): // its record needs the stream until the response is sent
		d.streams.Keep(s)
	default:
		d.Gone(c)
	}
	d.loop.Enter(c, transport.Flush)
}

// end finishes a request whose response is sent.
func (d *Driver) end(c *transport.Conn) {
	if c.Stream != 0 {
		s := d.streamOf(c)
		d.streams.RecordEnd(c, s)
		if s.BodyDone {
			d.Gone(c)
		}
	}
	switch {
	case c.Last || d.loop.Draining() && c.Stream != 0:
		d.endAfterResponse(c)
	case c.Stream != 0:
		d.streamOf(c).Received = 0
		d.loop.Enter(c, transport.Busy)
		d.loop.Timers.Arm(c)
	default:
		d.next(c)
	}
}

// endAfterResponse ends the connection without reading the rest of the request's body.
func (d *Driver) endAfterResponse(c *transport.Conn) {
	c.Linger = c.Linger || c.Stream != 0
	d.Gone(c)
	d.loop.Finish(c)
}

func (d *Driver) next(c *transport.Conn) {
	d.Gone(c)
	d.loop.Enter(c, transport.Idle)
	d.loop.Timers.Arm(c)
}
