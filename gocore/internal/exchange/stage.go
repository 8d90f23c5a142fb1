// The stages of a request.

package exchange

import "saltare/gocore/internal/transport"

// Stage is how far a request and its response are. Only enter assigns it.
type Stage uint8

const (
	// Over: the record is free.
	Over Stage = iota
	// Body: the request is with the app, and more of its body is to come.
	Body
	// Answer: the request is read; the app answers.
	Answer
	// Discard: the response is complete, but the app did not want all of the body.
	Discard
	// Open: it is a WebSocket.
	Open
	// Closing: we have closed the WebSocket; the peer's Close is to come.
	Closing

	stages
)

// String is what logs say: "peer closed while waiting for the app's answer".
func (s Stage) String() string {
	return [stages]string{
		"over", "reading the request body", "waiting for the app's answer", "discarding the rest of the request", "open as a WebSocket",
		"closing the WebSocket",
	}[s]
}

// follows[s] has a bit for every stage that may follow s. A stream is over when its record is given back.
var follows = [stages]uint8{
	Over:    1<<Body | 1<<Answer,
	Body:    1<<Answer | 1<<Discard,
	Answer:  1 << Open,
	Discard: 0,
	Open:    1 << Closing,
	Closing: 0,
}

// enter moves the stream to its next stage.
func (s *Stream) enter(next Stage) {
	if follows[s.stage]&(1<<next) == 0 {
		panic("exchange: from " + s.stage.String() + " to " + next.String())
	}
	s.stage = next
}

// Enter moves the stream that a connection is busy with to its next stage, from which the connection's deadline counts.
func (x *Streams) Enter(c *transport.Conn, s *Stream, next Stage) {
	s.enter(next)
	c.Since = x.loop.Clock.Now
}
