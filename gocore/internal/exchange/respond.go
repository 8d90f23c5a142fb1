// The response: what the app sends, checked against what it has declared.

package exchange

import (
	"fmt"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// Verdict is what to do with a piece of a body.
type Verdict uint8

const (
	Send    Verdict = iota
	Swallow         // send nothing of it
	TooMuch         // more than was declared: the response has failed
)

// Give counts a piece of n bytes and decides what to do with it.
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

// IsShort tells whether a finished body is shorter than declared.
func (s *Stream) IsShort() bool {
	return s.Response.Mode == message.BodyLength && s.given < uint64(s.Response.ContentLength)
}

// WrongLength logs that the body differs from its declared length; n is the number of bytes beyond those sent.
func (x *Streams) WrongLength(c *transport.Conn, s *Stream, than string, n int) {
	x.loop.AppError(c, fmt.Sprintf("the app sent %s body than its content-length says: %d of %d bytes", than, s.given+uint64(n), s.Response.ContentLength))
}

// Notify requests a drained event: the app waits for unsent output to shrink.
func (x *Streams) Notify(c *transport.Conn, s *Stream) {
	s.notify = true
	x.loop.PutReady(c)
}

// StopNotifying cancels Notify.
func (s *Stream) StopNotifying() { s.notify = false }

// NotifyDrained sends the drained event if the app waits for it and unsent output is at most LowWaterBytes.
func (x *Streams) NotifyDrained(c *transport.Conn, s *Stream) {
	if !s.notify || x.loop.Output.Unsent(c) > limits.LowWaterBytes {
		return
	}
	s.notify = false
	x.inbox.Add(handoff.Event{Kind: handoff.EventDrained, Stream: s.Handle()})
}
