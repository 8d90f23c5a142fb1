// The phases of a connection's life.  per request

package conn

// Phase is where a connection is in its life. Only enter assigns it.
type Phase uint8

const (
	// Closed: the record is free.
	Closed Phase = iota
	// Head: a request head has begun, or the connection is new.
	Head
	// Body: the request is with the app, and more of its body is to come.
	Body
	// Answer: the request is read; the app answers.
	Answer
	// Flush: the answer is complete, some of it unsent.
	Flush
	// Discard: answered and sent, but the app did not want all of the body.
	Discard
	// Idle: between requests; no buffer is held.
	Idle
	// Open: the connection is a WebSocket.
	Open
	// Closing: we have closed the WebSocket; the peer's Close is to come.
	Closing
	// Linger: our side is shut; the peer may still send, and is not listened to.
	Linger

	phases
)

// String is what logs say: "closed while reading the request head".
func (p Phase) String() string {
	return [phases]string{
		"closed", "reading the request head", "reading the request body", "waiting for the app's answer",
		"sending the answer", "discarding the rest of the request", "idle", "open as a WebSocket",
		"closing the WebSocket", "lingering after the last answer",
	}[p]
}

// legal[p] has a bit for every phase that may follow p. Every phase may end in Closed.
var legal = [phases]uint16{
	Closed:  1 << Head,
	Head:    1<<Head | 1<<Body | 1<<Answer | 1<<Flush | 1<<Linger,
	Body:    1<<Answer | 1<<Flush | 1<<Discard | 1<<Linger,
	Answer:  1<<Flush | 1<<Idle | 1<<Linger | 1<<Open,
	Flush:   1<<Discard | 1<<Idle | 1<<Linger,
	Discard: 1<<Idle | 1<<Linger | 1<<Flush,
	Idle:    1<<Head | 1<<Body | 1<<Answer | 1<<Flush,
	Open:    1<<Closing | 1<<Flush,
	Closing: 1 << Flush,
	Linger:  0,
}

// enter moves the connection to its next phase, from which its deadline counts.
func (h *Host) enter(c *Conn, next Phase) {
	if next != Closed && legal[c.phase]&(1<<next) == 0 {
		panic("conn: from " + c.phase.String() + " to " + next.String())
	}
	switch Idle {
	case c.phase:
		h.idle--
	case next:
		h.idle++
	}
	c.phase = next
	c.since = h.now
}
