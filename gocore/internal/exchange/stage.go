// The stages of a request.

package exchange

import "saltare/gocore/internal/transport"

// Stage is the progress of a request and its response. Only enter assigns it.
type Stage uint8

const (
	// Over: the record is free.
	Over Stage = iota
	// Body: the app has the request, and more of its body is to come.
	Body
	// Responding: the request is complete; the app is responding.
	Responding
	// Discard: the response is complete; the rest of the request's body is being discarded.
	Discard
	// Open: the websocket is open.
	Open
	// Closing: we have sent our Close and wait for the peer's.
	Closing

	stages
)

// String is the wording for logs: "peer closed while waiting for the app's response".
func (s Stage) String() string {
	return [stages]string{
		"over", "reading the request body", "waiting for the app's response", "discarding the rest of the request", "open as a websocket",
		"closing the websocket",
	}[s]
}

// follows[s] has a bit for every stage that may follow s. A stream is over when its record is freed.
var follows = [stages]uint8{
	Over:       1<<Body | 1<<Responding,
	Body:       1<<Responding | 1<<Discard,
	Responding: 1 << Open,
	Discard:    0,
	Open:       1 << Closing,
	Closing:    0,
}

// enter moves the stream to its next stage.
func (s *Stream) enter(next Stage) {
	if follows[s.stage]&(1<<next) == 0 {
		panic("exchange: from " + s.stage.String() + " to " + next.String())
	}
	s.stage = next
}

// Enter moves the stream that a connection is busy with to its next stage and restarts the connection's deadline.
func (x *Streams) Enter(c *transport.Conn, s *Stream, next Stage) {
	s.enter(next)
	c.Since = x.loop.Clock.Now
}
