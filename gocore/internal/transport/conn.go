// Package transport handles connections and their bytes: accept, read, write, queue, send files, close.
//
// Start at drive: it handles everything that happens to a connection. The connection's protocol, from the table in protocol.go,
// interprets the bytes; it reaches the socket only through Input.Read and Output.
//
//	accept.go    new connections
//	room.go      room for a new connection at the limit
//	read.go      input, and the part of it that is kept for later
//	write.go     output: one system call per connection and turn
//	queue.go     output that a slow peer has not accepted
//	sendfile.go  files in the output
//	turn.go      which connections a turn works on
//	secure.go    what TLS adds, in the full flavour
//	deadline.go  deadlines
//	recover.go   recovery from a panic
//	close.go     the one way out
//	release.go   release of memory after a burst
package transport

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/timer"
)

// Conn is one connection, and all the memory of an idle one. It lies outside Go's heap and holds no Go pointer.
type Conn struct {
	// Identity.
	number   uint32
	serial   uint32
	fd       int32
	Listener uint32
	Client   handoff.Address
	Local    handoff.Address // only for connections of a wildcard listener

	// Time.
	node  timer.Node
	Since uint32 // tick of the phase's beginning or last progress
	wrote uint32 // tick of the last progress of unsent output

	// Owned by its protocol.
	Requests uint32
	Stream   uint32 // number + 1 of its only stream; 0: none

	// Bytes.
	queue   uint32 // number + 1 of its queue of unsent output; 0: none
	parked  pool.Buffer
	held    uint32 // bytes in parked
	Scanned uint32 // of held, already searched and known to be incomplete; while it lingers: bytes discarded
	tls     uint32 // number + 1 of its TLS session; 0: none

	phase    Phase
	protocol Kind
	ending   Ending // why it is being closed
	Last     bool   // this response is the last one
	Linger   bool   // the peer may still be sending: linger before closing

	// Readiness reported by epoll and not used up yet.
	readable bool
	writable bool
	hangup   bool // the peer has closed its sending side: no more input than what the socket holds
	gone     bool // the peer cannot receive either

	ready   bool // in the list of ready connections
	waiting bool // in the list of connections put off
	reset   bool // close at once, without sending unsent output
}

// Compile-time check of the record's size.
const _ = uint(limits.ConnBytes - unsafe.Sizeof(Conn{}))

// Number is how a stream refers to its connection.
func (c *Conn) Number() uint32 { return c.number }

// Phase is where the connection is in its life.
func (c *Conn) Phase() Phase { return c.phase }

func (c *Conn) Protocol() Kind { return c.protocol }

// Ends tells whether the connection is marked to be closed and needs no more work.
func (c *Conn) Ends() bool { return c.ending != Stays }

// HasInput tells whether there may be input to read.
func (c *Conn) HasInput() bool { return c.readable || c.held > 0 }

// Held is the number of parked bytes.
func (c *Conn) Held() uint32 { return c.held }

// HalfClosed tells whether the peer has closed its sending side; Gone, whether it cannot receive either.
func (c *Conn) HalfClosed() bool { return c.hangup }
func (c *Conn) Gone() bool       { return c.gone }

// AtEnd tells whether the peer has closed its sending side and all its input was read.
func (c *Conn) AtEnd() bool { return c.hangup && c.held == 0 && sock.AtEnd(int(c.fd)) }

// Waiting tells whether the connection is put off to the next turn.
func (c *Conn) Waiting() bool { return c.waiting }

// Wrote is the tick of the last progress of unsent output; ok is false if nothing is unsent.
func (c *Conn) Wrote() (at uint32, ok bool) { return c.wrote, c.queue != 0 }

// Reset makes the close send a reset, so that the peer does not take a partial response for a complete one.
func (c *Conn) Reset() { c.reset = true }

// unused tells whether no part of a request has arrived.
func (c *Conn) unused() bool {
	return c.phase == Idle || c.phase == Handshake || c.phase == Head && c.held == 0
}

// drive continues the work on a connection and closes it if it was marked.
func (l *Loop) drive(c *Conn) {
	switch c.phase {
	case Closed:
		return
	case Linger:
		l.Input.discardAll(c)
	case Handshake:
		if l.secure.shake(c); c.phase == Head {
			l.protocols[c.protocol].Readable(c)
		}
	default:
		l.protocols[c.protocol].Readable(c)
	}
	if c.ending != Stays {
		l.closeMarked(c)
	}
}
