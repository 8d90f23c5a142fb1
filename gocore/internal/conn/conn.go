// Package conn is the life of a connection: from accept to close, one request after the other.  per request
//
// Read advance: it is the table of contents. Each phase is a file named for what is done in it:
//
//	accept.go   a new connection
//	idle.go     room for it, at the limit
//	head.go     bytes -> a request, handed to the app
//	body.go     bytes -> pieces of its body
//	answer.go   what the app says -> the answer
//	upgrade.go  an answer after which the connection is a WebSocket
//	message.go  its frames -> messages, and the app's messages -> frames
//	farewell.go how it ends
//	write.go    the answer -> bytes
//	queue.go    those that a slow peer does not take
//	sendfile.go files in it
//	deadline.go what took too long
//	refuse.go   answers of our own
//	limit.go    the log's line about a limit
//	recover.go  what a panic of ours costs
//	close.go    the one way out
//	release.go  what a burst made grow, shrinks again
package conn

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/timer"
)

// Conn is one connection: all that an idle one costs. It lies outside Go's heap and holds no Go pointer.
type Conn struct {
	// Per process: who it is.
	number   uint32
	serial   uint32
	fd       int32
	listener uint32
	client   handoff.Address
	local    handoff.Address

	// Per connection.
	node     timer.Node
	since    uint32 // tick at which the phase began or last went on
	wrote    uint32 // tick at which unsent output last went on
	requests uint32

	// Per request.
	stream  uint32 // number + 1
	queue   uint32 // number + 1 of unsent output
	parked  pool.Buffer
	held    uint32 // bytes in parked
	scanned uint32 // of them, known to hold no complete head

	lingered uint32 // bytes thrown away after the last answer

	phase  Phase
	ending ending // why the connection is to be closed
	last   bool   // this answer is the last one
	linger bool   // the peer may still be sending: close gently

	// What epoll said and was not used up yet.
	readable bool
	writable bool
	hangup   bool // the peer has ended its sending side: what is in the socket is all that will ever be there
	gone     bool // and cannot be sent anything either
	waiting  bool // in Host.later
	isReady  bool // in Host.ready
	reset    bool // close at once, without sending what is left
}

// Stream is one request in the app's hands. It lies outside Go's heap and holds no Go pointer.
type Stream struct {
	serial    uint32
	conn      uint32
	stage     Stage
	answer    message.Response
	chunked   http1.Chunked
	remaining uint64 // of a body with a declared length
	received  uint64 // decoded
	sent      uint64 // body bytes the app gave
	unread    uint32 // bytes handed over and not yet taken by the app
	socket    uint32 // number + 1 of the Socket, of a request for a WebSocket
	inChunks  bool
	bodyDone  bool // the request is read
	expecting bool // the peer waits for 100 Continue
	started   bool
	trailing  bool // the last chunk is said, its trailers are not complete
	complete  bool // the app has said its last word, or never heard of it: C does not know the stream
	notify    bool // the app waits until less is unsent
	halfTold  bool // that its peer sends nothing any more
}

// Proof that records stay within their price.
const (
	_ = uint(limits.ConnBytes - unsafe.Sizeof(Conn{}))
	_ = uint(limits.StreamBytes - unsafe.Sizeof(Stream{}))
)

// step is what an arm of advance answers.
type step bool

const (
	again step = true  // look at the phase again
	rest  step = false // nothing more to do until epoll, the app or a deadline says so
)

// drive goes on with a connection and acts on how that ended.
func (h *Host) drive(c *Conn) {
	h.advance(c)
	h.settle(c)
}

// advance takes a connection as far as its bytes, the app and the room of this turn allow.
func (h *Host) advance(c *Conn) {
	h.afterWriting(c)
	for next := again; next == again && c.ending == stays; {
		switch c.phase {
		case Idle, Head:
			next = h.readHead(c)
		case Busy:
			next = h.advanceStream(c, h.streamOf(c))
		case Flush:
			next = h.watchOutput(c)
		case Linger:
			next = h.discardAll(c)
		default:
			return
		}
	}
}

func (h *Host) advanceStream(c *Conn, s *Stream) step {
	switch s.stage {
	case Body:
		return h.readBody(c)
	case Answer:
		return h.watchPeer(c)
	case Discard:
		return h.discardBody(c)
	default:
		return h.readFrames(c)
	}
}

// afterWriting: what had to wait until less output was unsent.
func (h *Host) afterWriting(c *Conn) {
	if c.stream != 0 && c.ending == stays {
		h.payPong(c)
		h.tellDrained(c)
	}
}

// watchOutput goes on once a complete answer is sent.
func (h *Host) watchOutput(c *Conn) step {
	switch {
	case c.queue == 0 && h.out.conn != c:
		h.end(c)
		return step(c.readable || c.held > 0)
	case c.gone:
		h.mark(c, peerClosed)
	}
	return rest
}

// watchPeer: nothing is read while an answer is made, but the end of a peer's sending side is noticed. TCP does not tell one
// that has ended that side alone from one that has gone. So the app is told and may stop working for it; an answer that the
// app makes all the same is sent, and shows which of the two it is. A WebSocket cannot be half open.
func (h *Host) watchPeer(c *Conn) step {
	s := h.streamOf(c)
	switch {
	case c.gone || c.hangup && s.socket != 0:
		h.mark(c, peerClosed)
	case c.hangup && !s.halfTold && !s.complete:
		s.halfTold = true
		h.inbox.Add(handoff.Event{Kind: handoff.EventHalfClose, Stream: s.handle(c.stream - 1)})
	}
	return rest
}

func (h *Host) streamOf(c *Conn) *Stream { return h.streams.At(c.stream - 1) }

// handle is the stream as events and commands name it.
func (s *Stream) handle(number uint32) uint64 { return uint64(s.serial)<<32 | uint64(number) }

// find is the stream of a command, nil when it is over.
func (h *Host) find(handle uint64) (*Conn, *Stream) {
	number, serial := uint32(handle), uint32(handle>>32)
	if !h.streams.Has(number) {
		return nil, nil
	}
	s := h.streams.At(number)
	if s.serial != serial || serial == 0 || s.complete {
		return nil, nil
	}
	c := h.conns.At(s.conn)
	if c.ending != stays {
		return nil, nil
	}
	return c, s
}
