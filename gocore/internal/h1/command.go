// The commands of the app, and what each does.

package h1

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// Command carries out a command for the connection's request.
func (d *Driver) Command(c *transport.Conn, k *handoff.Command, payload []byte) {
	s := d.streamOf(c)
	more := k.Flags&handoff.CommandMore != 0
	switch k.Kind {
	case handoff.CommandStart:
		d.start(c, s, k, payload)
	case handoff.CommandBody:
		d.piece(c, s, transport.Piece{Bytes: payload}, more)
	case handoff.CommandBodyRef:
		d.piece(c, s, transport.BorrowedPiece(handoff.Ref(payload)), more)
	case handoff.CommandFile:
		d.piece(c, s, d.out.FilePiece(handoff.FileOf(payload)), more)
	case handoff.CommandTrailers:
		d.trailers(c, s, payload, more)
	case handoff.CommandConsumed:
		d.consumed(c, s, k.Arg)
	case handoff.CommandContinue:
		d.proceed(c, s)
	case handoff.CommandNotify:
		d.streams.Notify(c, s)
	case handoff.CommandAbort:
		d.abandon(c, s)
	case handoff.CommandWSAccept:
		d.accept(c, s, payload)
	case handoff.CommandWSClose:
		d.decline(c, s, k.Arg)
	default:
		d.streams.ReleaseCommand(k, payload)
	}
}

// accept accepts the websocket that the request asks for.
func (d *Driver) accept(c *transport.Conn, s *exchange.Stream, fields []byte) {
	if s.Started || !s.WebSocket {
		return
	}
	if err := d.upgrades.Accept(c, s, fields, &d.defaults); err != nil {
		d.loop.AppError(c, err.Error())
		d.abort(c, s)
	}
}

// decline handles the app closing a websocket that it has not accepted.
func (d *Driver) decline(c *transport.Conn, s *exchange.Stream, code uint32) {
	s.Detach()
	if !s.Started {
		d.refuse(c, exchange.Declined(code))
	}
}

// abandon handles the app ending before its response was complete. An event stream whose app was told to end is complete: its reader
// drops an event without an end (HTML, 9.2.6).
func (d *Driver) abandon(c *transport.Conn, s *exchange.Stream) {
	switch {
	case !s.Started:
		d.abort(c, s)
	case s.Response.Mode == message.BodyNone: // nothing more was to be sent
		d.complete(c, s)
	case s.Response.Events && s.Told() && s.Response.Endless():
		d.lastPiece(c, s)
	default:
		d.abort(c, s)
	}
}

// abort ends a request whose app has failed: with a 500 if the response has not begun, else with a visibly incomplete response.
func (d *Driver) abort(c *transport.Conn, s *exchange.Stream) {
	if !s.Started {
		d.refuse(c, exchange.AppFailed)
		return
	}
	if s.Response.Mode == message.BodyUntilClose {
		c.Reset() // a plain close would look like the end of the response
	}
	d.loop.Mark(c, transport.Responded)
}

// proceed sends 100 Continue: the app asks for a body that the peer holds back (RFC 9110 10.1.1).
func (d *Driver) proceed(c *transport.Conn, s *exchange.Stream) {
	if !s.Expecting {
		return
	}
	s.Expecting = false
	if s.Started {
		return // too late for an interim response; the head said close
	}
	d.out.Gather(c)
	d.out.B = append(d.out.B, "HTTP/1.1 100 Continue\r\n\r\n"...)
	c.Since = d.loop.Clock.Now
	d.loop.Timers.Arm(c)
}
