// The phases of a connection, and why one ends.

package transport

import "saltare/gocore/internal/limits"

// Phase is where a connection is in its life. Only Enter assigns it.
type Phase uint8

const (
	// Closed: the record is free.
	Closed Phase = iota
	// Head: a request head has begun, or the connection is new.
	Head
	// Busy: a request is in progress; its stage, in package exchange, says how far it is.
	Busy
	// Flush: the response is complete, but part of it is unsent.
	Flush
	// Idle: between requests; no buffer is held.
	Idle
	// Handshake: TLS is being agreed on.
	Handshake
	// Linger: our side is shut; further input from the peer is discarded.
	Linger

	phases

	// Phases is the number of phases of an open connection.
	Phases = int(phases) - 1
)

// String is the wording for logs: "closed while reading the request head".
func (p Phase) String() string {
	return [phases]string{
		"closed", "reading the request head", "serving a request", "sending the response", "idle", "in the TLS handshake", "lingering after the last response",
	}[p]
}

// legal[p] has a bit for every phase that may follow p. Every phase may end in Closed.
var legal = [phases]uint8{
	Closed:    1<<Head | 1<<Handshake,
	Handshake: 1<<Head | 1<<Linger,
	Head:      1<<Head | 1<<Busy | 1<<Flush | 1<<Handshake | 1<<Linger, // Handshake: after a Prelude
	Busy:      1<<Flush | 1<<Idle | 1<<Linger,
	Flush:     1<<Busy | 1<<Idle | 1<<Linger,
	Idle:      1<<Head | 1<<Busy | 1<<Flush,
	Linger:    0,
}

// Enter moves the connection to its next phase and restarts its deadline.
func (l *Loop) Enter(c *Conn, next Phase) {
	if next != Closed && legal[c.phase]&(1<<next) == 0 {
		panic("transport: from " + c.phase.String() + " to " + next.String())
	}
	switch Idle {
	case c.phase:
		l.room.idle--
	case next:
		l.room.idle++
	}
	c.phase = next
	c.Since = l.Clock.Now
	if next == Flush {
		l.PutReady(c)
	}
}

// Ending is why a connection is being closed.
type Ending uint8

const (
	Stays     Ending = iota
	Responded        // gathered output is written first
	PeerClosed
	PeerReset
	NoMemory
	TooSlow
	Silent
	FileCut
	Unshaken
	BadRecord

	endings
)

// EndingNames are the labels of metrics, by Ending.
var EndingNames = [endings]string{
	"dropped", "responded", "peer_closed", "peer_reset", "no_memory", "write_timeout", "ws_keepalive_timeout", "file_cut",
	"tls_handshake", "tls_record",
}

// Compile-time check that every ending has a place in the figures.
const _ = uint(limits.MostReasons - endings)

// atOnce tells whether to close without sending more.
func (e Ending) atOnce() bool { return e > Responded }

// String is the wording for logs: "peer closed while ...".
func (e Ending) String() string {
	return [endings]string{
		"stays", "responded", "peer closed", "connection reset by peer", "out of memory", "write_timeout", "ws_keepalive_timeout", "a file was cut short",
		"header_timeout", "the peer broke the TLS protocol",
	}[e]
}
