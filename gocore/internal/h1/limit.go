// Limits of one request: its time (request_timeout), and those of its path.

package h1

import (
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/transport"
)

// limit sets the limits of the request in d.head, which was parsed from buf.
func (d *Driver) limit(s *exchange.Stream, buf []byte) {
	o := d.config
	timeout := o.RequestTimeout
	if len(o.RequestTimeoutPaths)+len(o.MaxRequestBodyPaths) > 0 {
		path, _ := d.decodedPath(buf)
		if at := config.FindPath(o.RequestTimeoutPaths, path); at > 0 {
			timeout = config.Ticks(uint32(o.RequestTimeoutPaths[at-1].Value))
		}
		s.BodyPath = uint16(config.FindPath(o.MaxRequestBodyPaths, path))
	}
	if timeout > 0 && !d.head.UpgradeWebSocket {
		s.Expires = d.loop.Clock.Now + timeout + 1
	}
}

// timeIsOver tells whether the app has not ended its response in time.
func (d *Driver) timeIsOver(s *exchange.Stream) bool {
	return s.Expires != 0 && s.Expires <= d.loop.Clock.Now && !s.Complete()
}

// overdue ends a request whose time is over, and cancels the app's task. If the loop did not run when that time ended, because of another
// request, the app gets one more turn: its response may be about to be sent.
func (d *Driver) overdue(c *transport.Conn, s *exchange.Stream) {
	if !s.Extended && d.loop.Clock.Now > s.Expires+1 {
		s.Extended = true
		s.Expires = d.loop.Clock.Now + 1
		d.loop.Timers.Arm(c)
		return
	}
	s.Cancel()
	d.refuse(c, exchange.Overdue)
}

// bodyLimit is the limit of a request's body and its value.
func (d *Driver) bodyLimit(c *transport.Conn) (journal.Limit, uint64) {
	s := d.streamOf(c)
	if s.BodyPath > 0 {
		return journal.MaxRequestBodyPath, d.streams.MostBody(s)
	}
	return journal.MaxRequestBody, d.streams.MostBody(s)
}
