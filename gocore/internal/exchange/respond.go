// The response: what the app says, held against what it has declared.

package exchange

import (
	"fmt"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// Verdict is what is to be done with a piece of a body.
type Verdict uint8

const (
	Send    Verdict = iota
	Swallow         // nothing of it is sent
	TooMuch         // it is more than was declared: the response has failed
)

// Give takes a piece of n bytes into account.
func (s *Stream) Give(n int) Verdict {
	r := &s.Response
	given := s.given + uint64(n)
	switch {
	case !s.Started || r.Mode == message.BodyNone:
		return Swallow
	case r.Mode == message.BodyLength && given > uint64(r.ContentLength):
		return TooMuch
	}
	s.given = given
	if n == 0 {
		return Swallow
	}
	return Send
}

// TooLittle tells whether a body that is over is less than was declared.
func (s *Stream) TooLittle() bool {
	return s.Response.Mode == message.BodyLength && s.given < uint64(s.Response.ContentLength)
}

// WrongLength logs that the app sent another length than it declared; n is what came beside what was sent.
func (x *Streams) WrongLength(c *transport.Conn, s *Stream, than string, n int) {
	x.loop.AppError(c, fmt.Sprintf("the app sent %s body than its content-length says: %d of %d bytes", than, s.given+uint64(n), s.Response.ContentLength))
}

// Notify: the app waits until little enough is unsent.
func (x *Streams) Notify(c *transport.Conn, s *Stream) {
	s.notify = true
	x.loop.PutReady(c)
}

// StopNotifying: the app does not wait any more.
func (s *Stream) StopNotifying() { s.notify = false }

// TellDrained tells the app that little enough is unsent, if it waits for that.
func (x *Streams) TellDrained(c *transport.Conn, s *Stream) {
	if !s.notify || x.loop.Output.Unsent(c) > limits.LowWaterBytes {
		return
	}
	s.notify = false
	x.inbox.Add(handoff.Event{Kind: handoff.EventDrained, Stream: s.Handle()})
}
