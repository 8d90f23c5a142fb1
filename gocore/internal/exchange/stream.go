// Package exchange is a request and its response, as the stream that the app knows. It handles no protocol's bytes.
//
//	stream.go   streams, and finding the stream of a command
//	stage.go    the stages of a stream
//	request.go  the request's body: what was passed to the app, and what the app has consumed
//	respond.go  the response: what the app sends, checked against what it has declared
//	refuse.go   responses that the server sends in place of the app's, and their log lines
//	record.go   the access log
//	measure.go  what metrics count about requests
//	names.go    what requests are called: their ids and traces
package exchange

import (
	"time"
	"unsafe"

	"saltare/gocore/internal/accesslog"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
)

// Stream is one request that the app is handling. It lies outside Go's heap and holds no Go pointer.
type Stream struct {
	number   uint32
	serial   uint32
	conn     uint32
	Own      uint32 // number + 1 of its protocol's own record, if it has one; 0: none
	unread   uint32 // passed to the app and not consumed yet, in bytes and costs
	record   uint32 // number + 1 of its record for the access log; 0: none
	Expires  uint32 // tick at which its time is over; 0: never
	Response message.Response
	Left     uint64        // bytes of a body of declared length that are not read yet
	Received uint64        // decoded bytes of the body
	given    uint64        // bytes of the response's body from the app
	began    time.Duration // since the server was opened

	code      uint16 // close code of a websocket; 0: none yet
	BodyPath  uint16 // number + 1 of its row in MaxRequestBodyPaths; 0: none
	stage     Stage
	BodyDone  bool // the request is complete
	Expecting bool // the peer waits for 100 Continue
	WebSocket bool // the request asks for a websocket
	Started   bool // the response has begun
	Trailing  bool // the last chunk is written, its trailers are incomplete
	complete  bool // C does not know the stream: the app has finished, or never received the request
	whole     bool // the app has sent its whole response
	notify    bool // the app waits for unsent output to shrink
	Watched   bool // the app gets a disconnect once it is silent
	told      bool // the app has got that disconnect
	Extended  bool // its time was extended, because the loop did not run
	overdue   bool // its task is to be cancelled
	kept      bool // only for its record
}

// Compile-time check of the record's size.
const _ = uint(limits.StreamBytes - unsafe.Sizeof(Stream{}))

// Streams are the streams of one server.
type Streams struct {
	Log *accesslog.Log // nil: off

	loop  *transport.Loop
	inbox *handoff.Inbox
	all   pool.Slab[Stream]

	named    pool.Slab[names]
	byStream pool.List[uint32] // by the number of a stream: number + 1 of its names; 0 or missing: it has none

	tasks  int // of the app, that had not ended when the turn began
	passed int // requests passed to the app in this turn
	kept   int // streams that are there only for their record
}

// Open binds the streams to a loop.
func (x *Streams) Open(loop *transport.Loop) { x.loop, x.inbox = loop, loop.Inbox }

// Begin creates the stream of a request that has arrived.
func (x *Streams) Begin(c *transport.Conn, r message.Response) (*Stream, error) {
	number, s, err := x.all.Alloc()
	if err != nil {
		return nil, err
	}
	x.loop.Counts.Requests++
	s.began = x.loop.Clock.Elapsed
	s.number, s.serial, s.conn, s.Response = number, x.loop.NextSerial(), c.Number(), r
	return s, nil
}

// At returns the stream with that number.
func (x *Streams) At(number uint32) *Stream { return x.all.At(number) }

// Number is how its protocol refers to the stream.
func (s *Stream) Number() uint32 { return s.number }

func (s *Stream) Stage() Stage { return s.stage }

// Handle is how events and commands refer to the stream.
func (s *Stream) Handle() uint64 { return uint64(s.serial)<<32 | uint64(s.number) }

// Command carries out one command of the outbox, through the protocol of the stream's connection.
func (x *Streams) Command(k *handoff.Command, payload []byte) {
	c, s := x.find(k.Stream)
	if s == nil {
		x.ReleaseCommand(k, payload)
		return
	}
	x.loop.WorkFor(c)
	x.loop.Command(c, k, payload)
}

// ReleaseCommand releases what a command lends that is not carried out.
func (x *Streams) ReleaseCommand(k *handoff.Command, payload []byte) {
	switch k.Kind {
	case handoff.CommandBodyRef, handoff.CommandWSSendRef:
		x.inbox.Release(handoff.Ref(payload).Token)
	case handoff.CommandFile:
		x.loop.Output.ReleasePiece(x.loop.Output.FilePiece(handoff.FileOf(payload)))
	}
}

// find returns the stream of a command; nil if the stream is over or its connection is about to close.
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

// Detach: C does not know the stream any more, so it gets no event about its end.
func (s *Stream) Detach() { s.complete = true }

// Cancel makes the end of the stream cancel the app's task.
func (s *Stream) Cancel() { s.overdue = true }

func (s *Stream) Complete() bool { return s.complete }

// Finish notes that the app has sent its whole response.
func (s *Stream) Finish() {
	s.Detach()
	s.whole, s.notify = true, false
}

// Drop ends the request, and notifies C unless the app has finished. The protocol must have released its own record before.
func (x *Streams) Drop(s *Stream) {
	number := s.number
	x.RecordEnd(x.loop.Conn(s.conn), s)
	if !s.complete {
		flags := uint32(0)
		if s.overdue {
			flags = handoff.EventCancel
		}
		x.inbox.Add(handoff.Event{Kind: handoff.EventDisconnect, Flags: flags, Stream: s.Handle()})
	}
	if s.kept {
		x.kept--
	}
	*s = Stream{}
	x.all.Free(number)
	if x.byStream.Len() > 0 {
		x.forget(number)
	}
}

// Keep keeps a request that is over until Drop, for its record.
func (x *Streams) Keep(s *Stream) {
	s.kept = true
	x.kept++
}

// Live is the number of requests that the app is handling.
func (x *Streams) Live() int { return x.all.Live() }

// BeginTurn sets how many tasks of the app have not ended.
func (x *Streams) BeginTurn(tasks int) { x.tasks, x.passed = tasks, 0 }

// Passed counts a request that was passed to the app.
func (x *Streams) Passed() { x.passed++ }

// InProgress is the number of requests in progress, with one that was not passed to the app yet: a task of the app may go on after its
// response, or after its peer has gone.
func (x *Streams) InProgress() int { return max(x.all.Live()-x.kept, x.tasks+x.passed+1) }

// Release frees unused records and returns the number of bytes.
func (x *Streams) Release() int {
	x.byStream.Release()
	return x.all.Release() + x.named.Release()
}

func (x *Streams) Close() {
	x.all.Close()
	x.named.Close()
	x.byStream.Close()
}
