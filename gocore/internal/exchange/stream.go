// Package exchange is one request and its response: the stream that the app knows them by. It knows no bytes of any protocol.
//
//	stream.go   streams, and how commands find them
//	stage.go    how far one is
//	request.go  the request's body: what the app was given and has taken
//	respond.go  the response: what the app says, held against what it has declared
//	refuse.go   responses in the app's place, and how they are logged
package exchange

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
)

// Stream is one request in the app's hands. It lies outside Go's heap and holds no Go pointer.
type Stream struct {
	number   uint32
	serial   uint32
	conn     uint32
	Own      uint32 // number + 1 of what its protocol keeps of it, where that is more than this
	unread   uint32 // bytes handed over and not yet taken by the app
	Response message.Response
	Left     uint64 // of a body with a declared length, not read yet
	Received uint64 // bytes of the body, decoded
	given    uint64 // bytes of the response's body that the app gave

	stage     Stage
	BodyDone  bool // the request is read
	Expecting bool // the peer waits for 100 Continue
	WebSocket bool // it asks for one
	Started   bool // the response is
	Trailing  bool // the last chunk is said, its trailers are not complete
	complete  bool // nothing more comes from the app, or it was never given the request: C does not know the stream
	notify    bool // the app waits until less is unsent
	halfTold  bool // that its peer sends nothing any more
}

// Proof that a record stays within its price.
const _ = uint(limits.StreamBytes - unsafe.Sizeof(Stream{}))

// Streams are all of one server.
type Streams struct {
	loop  *transport.Loop
	inbox *handoff.Inbox
	all   pool.Slab[Stream]
}

// Open makes them the streams of a loop.
func (x *Streams) Open(loop *transport.Loop) { x.loop, x.inbox = loop, loop.Inbox }

// Begin makes a stream for the request that has come on a connection.
func (x *Streams) Begin(c *transport.Conn, r message.Response) (*Stream, error) {
	number, s, err := x.all.Alloc()
	if err != nil {
		return nil, err
	}
	x.loop.Counts.Requests++
	s.number, s.serial, s.conn, s.Response = number, x.loop.NextSerial(), c.Number(), r
	return s, nil
}

// At is the stream of that number.
func (x *Streams) At(number uint32) *Stream { return x.all.At(number) }

// Number is what its protocol knows the stream by.
func (s *Stream) Number() uint32 { return s.number }

// Stage is how far the stream is.
func (s *Stream) Stage() Stage { return s.stage }

// Handle is the stream as events and commands name it.
func (s *Stream) Handle() uint64 { return uint64(s.serial)<<32 | uint64(s.number) }

// Command carries one command of the outbox out, through the protocol of the stream's connection.
func (x *Streams) Command(k *handoff.Command, payload []byte) {
	c, s := x.find(k.Stream)
	if s == nil {
		x.GiveBack(k, payload)
		return
	}
	x.loop.WorkFor(c)
	x.loop.Command(c, k, payload)
}

// GiveBack gives back what a command lends that is not carried out.
func (x *Streams) GiveBack(k *handoff.Command, payload []byte) {
	switch k.Kind {
	case handoff.CommandBodyRef, handoff.CommandWSSendRef:
		x.inbox.Release(handoff.Ref(payload).Token)
	case handoff.CommandFile:
		x.loop.Output.GiveBack(x.loop.Output.FilePiece(handoff.FileOf(payload)))
	}
}

// find is the stream of a command, nil when it is over or its connection is about to be.
func (x *Streams) find(handle uint64) (*transport.Conn, *Stream) {
	number, serial := uint32(handle), uint32(handle>>32)
	if !x.all.Has(number) {
		return nil, nil
	}
	s := x.all.At(number)
	if s.serial != serial || serial == 0 || s.complete {
		return nil, nil
	}
	c := x.loop.Conn(s.conn)
	if c.Ends() {
		return nil, nil
	}
	return c, s
}

// Silence: C knows nothing of the stream any more, and is not told its end.
func (s *Stream) Silence() { s.complete = true }

// Complete tells whether C does not know the stream any more.
func (s *Stream) Complete() bool { return s.complete }

// Drop ends the request in the app's hands, and tells C unless the app has said its last. What the protocol keeps of it is the
// protocol's to give back before.
func (x *Streams) Drop(s *Stream) {
	number := s.number
	if !s.complete {
		x.inbox.Add(handoff.Event{Kind: handoff.EventDisconnect, Stream: s.Handle()})
	}
	*s = Stream{}
	x.all.Free(number)
}

// Live is how many requests are in the app's hands.
func (x *Streams) Live() int { return x.all.Live() }

// Release gives back records that nothing uses now.
func (x *Streams) Release() int { return x.all.Release() }

// Close frees all.
func (x *Streams) Close() { x.all.Close() }
