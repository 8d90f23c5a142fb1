// Package transport is one connection and its bytes: accept, read, write, queue, send files, close.
//
// Start at drive: all that happens to a connection comes through it. What the bytes mean is its protocol's, which is reached through the
// table of protocol.go, and which reaches the socket only through Input.Read and Output.
//
//	accept.go    a new connection
//	room.go      room for it, at the limit
//	read.go      bytes in, and those that are kept for later
//	write.go     bytes out: what is said to one connection in one turn leaves in one system call
//	queue.go     those that a slow peer does not take
//	sendfile.go  files among them
//	turn.go      which connections a turn goes on with
//	deadline.go  what took too long
//	recover.go   what a panic of ours costs
//	close.go     the one way out
//	release.go   what a burst made grow, shrinks again
package transport

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/timer"
)

// Conn is one connection: all that an idle one costs. It lies outside Go's heap and holds no Go pointer.
type Conn struct {
	// Who it is.
	number   uint32
	serial   uint32
	fd       int32
	Listener uint32
	Client   handoff.Address
	Local    handoff.Address // of connections to a wildcard listener

	// Its time.
	node  timer.Node
	Since uint32 // tick at which the phase began or last went on
	wrote uint32 // tick at which unsent output last went on

	// Its protocol's.
	Requests uint32
	Stream   uint32 // number + 1 of the one stream that it has, where it has one

	// Its bytes.
	queue    uint32 // number + 1 of unsent output
	parked   pool.Buffer
	held     uint32 // bytes in parked
	Scanned  uint32 // of them, known to be the beginning of something
	lingered uint32 // bytes thrown away after the last response

	phase    Phase
	protocol Kind
	ending   Ending // why it is to be closed
	Last     bool   // this response is the last one
	Linger   bool   // the peer may still be sending: close gently

	// What epoll said and was not used up yet.
	readable bool
	writable bool
	hangup   bool // the peer has ended its sending side: what is in the socket is all that will ever be there
	gone     bool // and cannot be sent anything either

	ready   bool // in the list of that name
	waiting bool // in the list of those put off
	reset   bool // close at once, without sending what is left
}

// Proof that a record stays within its price.
const _ = uint(limits.ConnBytes - unsafe.Sizeof(Conn{}))

// Number is what a stream knows its connection by.
func (c *Conn) Number() uint32 { return c.number }

// Phase is where the connection is in its life.
func (c *Conn) Phase() Phase { return c.phase }

// Protocol is the kind of its protocol.
func (c *Conn) Protocol() Kind { return c.protocol }

// Ends tells whether it is marked to be closed, so that nothing is to be done for it any more.
func (c *Conn) Ends() bool { return c.ending != Stays }

// HasInput tells whether there may be bytes to take.
func (c *Conn) HasInput() bool { return c.readable || c.held > 0 }

// Held is how many bytes are parked.
func (c *Conn) Held() uint32 { return c.held }

// HalfClosed tells whether the peer has ended its sending side, and Gone whether it cannot be sent anything either.
func (c *Conn) HalfClosed() bool { return c.hangup }
func (c *Conn) Gone() bool       { return c.gone }

// AtEnd tells whether all that the peer will ever send was read.
func (c *Conn) AtEnd() bool { return c.hangup && c.held == 0 && sock.AtEnd(int(c.fd)) }

// Waiting tells whether it is put off to the next turn.
func (c *Conn) Waiting() bool { return c.waiting }

// Wrote is the tick at which unsent output last went on; ok is false when there is none.
func (c *Conn) Wrote() (at uint32, ok bool) { return c.wrote, c.queue != 0 }

// Reset has the connection closed by a reset: the peer must not take what it has for all.
func (c *Conn) Reset() { c.reset = true }

// unused: nothing of a request has come.
func (c *Conn) unused() bool { return c.phase == Idle || c.phase == Head && c.held == 0 }

// drive goes on with a connection and acts on how that ended.
func (l *Loop) drive(c *Conn) {
	switch c.phase {
	case Closed:
		return
	case Linger:
		l.Input.discardAll(c)
	default:
		l.protocols[c.protocol].Readable(c)
	}
	if c.ending != Stays {
		l.settle(c)
	}
}
