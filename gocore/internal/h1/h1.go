// Package h1 drives HTTP/1.1. It connects the bytes of a connection (transport) to a request and its response (exchange), and uses
// http1 to parse and write bytes.
//
// Start at Readable: it is the life of an HTTP/1.1 connection, one request after the other.
//
//	head.go     bytes -> a request, handed to the app
//	limit.go    its time, and the limits of its path
//	body.go     bytes -> pieces of its body
//	command.go  the commands of the app, and what each does
//	respond.go  the head, the body and the trailers of the response -> bytes
//	end.go      after a response: the next request, or the end
//	refuse.go   responses in place of the app's
//	answer.go   requests that are not for the app
//	measure.go  what metrics count about the head of a request
package h1

import (
	"time"

	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/ws"
)

var (
	halfCloseTicks = limits.Ticks(limits.HalfCloseGrace)
	drainTicks     = limits.Ticks(limits.DrainGrace)
	unsentTicks    = limits.Ticks(limits.UnsentGrace)
)

// Driver runs HTTP/1.1 on one server.
type Driver struct {
	config   *config.Config
	loop     *transport.Loop
	out      *transport.Output
	streams  *exchange.Streams
	upgrades *ws.Driver

	head     http1.Head
	chunks   pool.Slab[http1.Chunked] // of requests with a chunked body; Stream.Own has the number + 1
	defaults message.Defaults
	second   int64 // the second, since 1970, of the Date line

	State    answer.State // for answers without the app
	answers  bool         // there are some
	answered int          // how many of them in this turn
}

// Open registers d with a loop. upgrades drives the connections that become websockets.
func (d *Driver) Open(loop *transport.Loop, streams *exchange.Streams, upgrades *ws.Driver) transport.Kind {
	d.config, d.loop, d.out, d.streams, d.upgrades = &loop.Config, loop, &loop.Output, streams, upgrades
	d.head.Limits = d.config.MaxHead
	d.defaults.Server, d.defaults.Extra = d.config.ServerHeader, d.config.ExtraHeaders
	d.answers = d.config.Answers.Any()
	return loop.Add(d)
}

// Begin begins a turn, or its next wait, at time now: it sets the Date field of responses.
func (d *Driver) Begin(now time.Time) {
	d.answered = 0
	if second := now.Unix(); d.config.DateHeader && second != d.second {
		d.second = second
		d.defaults.Date = http1.AppendDate(d.defaults.Date[:0], second)
	}
}

// Release frees unused records and returns the number of bytes.
func (d *Driver) Release() int { return d.chunks.Release() }

func (d *Driver) Close() { d.chunks.Close() }

// streamOf is the only stream of a connection; it must have one.
func (d *Driver) streamOf(c *transport.Conn) *exchange.Stream { return d.streams.At(c.Stream - 1) }

// step is the result of a step of Readable.
type step bool

const (
	again step = true  // check the phase again
	wait  step = false // nothing to do until epoll, the app or a deadline
)

// Readable does all the work that the connection's input, the app and the room of this turn allow.
func (d *Driver) Readable(c *transport.Conn) {
	if c.Stream != 0 && !c.Ends() {
		d.streams.NotifyDrained(c, d.streamOf(c))
	}
	for next := again; next == again && !c.Ends(); {
		switch c.Phase() {
		case transport.Idle, transport.Head:
			next = d.readHead(c)
		case transport.Busy:
			next = d.advanceStream(c, d.streamOf(c))
		case transport.Flush:
			next = d.watchOutput(c)
		default:
			return
		}
	}
}

func (d *Driver) advanceStream(c *transport.Conn, s *exchange.Stream) step {
	switch s.Stage() {
	case exchange.Body:
		return d.readBody(c, s)
	case exchange.Discard:
		return d.discardBody(c, s)
	}
	return d.watchPeer(c, s)
}

// watchPeer reads nothing while the app responds, but notices a half-close. A websocket cannot be half-closed.
func (d *Driver) watchPeer(c *transport.Conn, s *exchange.Stream) step {
	switch {
	case c.Gone() || c.HalfClosed() && s.WebSocket:
		d.loop.Mark(c, transport.PeerClosed)
	case c.HalfClosed():
		d.watchSilence(c, s)
	}
	return wait
}

// watchSilence gives the app a disconnect once it has sent nothing for a while.
func (d *Driver) watchSilence(c *transport.Conn, s *exchange.Stream) {
	if s.Watch() {
		c.Since = d.loop.Clock.Now
		d.loop.Timers.Arm(c)
	}
}

// watchOutput continues once a complete response is sent.
func (d *Driver) watchOutput(c *transport.Conn) step {
	switch {
	case d.out.Sent(c):
		d.end(c)
		return step(c.HasInput())
	case c.Gone():
		d.loop.Mark(c, transport.PeerClosed)
	}
	return wait
}

// Deadline applies while more of a body is to come, until an app that is watched gets its disconnect, and to the request as a whole.
func (d *Driver) Deadline(c *transport.Conn) uint32 {
	s := d.streamOf(c)
	at := d.bodyDeadline(c, s)
	if s.Watched && s.Stage() != exchange.Discard {
		silent := silentSince(c) + d.silence() + 1
		if d.endsWhenTold(s) {
			silent = c.Since + 1
		}
		if at == 0 || silent < at {
			at = silent
		}
	}
	if s.Expires != 0 && s.Stage() != exchange.Discard && (at == 0 || s.Expires < at) {
		at = s.Expires
	}
	return at
}

// bodyDeadline is 0 while nothing is read because the app or the peer waits for the app.
func (d *Driver) bodyDeadline(c *transport.Conn, s *exchange.Stream) uint32 {
	if s.Stage() == exchange.Discard || s.Stage() == exchange.Body && !s.Paused() && !s.Expecting {
		return c.After(d.config.BodyTimeout)
	}
	return 0
}

// silentSince is the tick at which the app last sent something, or the peer last accepted some of it: send() waits for the peer.
func silentSince(c *transport.Conn) uint32 {
	wrote, _ := c.Wrote()
	return max(c.Since, wrote)
}

// silence is how long an app that is watched may send nothing.
func (d *Driver) silence() uint32 {
	if d.loop.Draining() {
		return drainTicks
	}
	return halfCloseTicks
}

// Expire handles a peer that has sent too slowly, an app that is watched and silent, or one whose time is over.
func (d *Driver) Expire(c *transport.Conn) {
	if c.Phase() == transport.Head {
		d.refuse(c, exchange.HeadTimeout)
		return
	}
	s := d.streamOf(c)
	if d.timeIsOver(s) {
		d.overdue(c, s)
		return
	}
	at := d.bodyDeadline(c, s)
	switch late := at != 0 && at <= d.loop.Clock.Now; {
	case late && s.Stage() == exchange.Body:
		d.refuse(c, exchange.BodyTimeout)
	case late:
		d.loop.Mark(c, transport.Responded)
	case s.Watched:
		d.silent(c, s)
	}
}

// silent gives a silent app its disconnect. It waits on while output is unsent, which shows whether the peer is there, unless the peer
// has long accepted nothing; and if the loop did not run when the app's time ended.
func (d *Driver) silent(c *transport.Conn, s *exchange.Stream) {
	wrote, unsent := c.Wrote()
	waits := unsent && d.loop.Clock.Now-wrote < unsentTicks || d.loop.Timers.IsLate(silentSince(c), d.silence())
	if waits && !d.endsWhenTold(s) {
		c.Since = d.loop.Clock.Now
		d.loop.Timers.Arm(c)
		return
	}
	d.streams.HalfClosed(s)
}

// Drain ends a connection whose response is complete without reading the rest of the request, and a stream that may be endless.
func (d *Driver) Drain(c *transport.Conn) {
	s := d.streamOf(c)
	if s.Stage() == exchange.Discard {
		d.endAfterResponse(c)
		return
	}
	d.drainStream(c, s)
}

// endsWhenTold tells whether the app gets its disconnect at once, silent or not: an event stream of a draining server, which would go on
// for ever.
func (d *Driver) endsWhenTold(s *exchange.Stream) bool { return s.Response.Events && d.loop.Draining() }

// drainStream watches a response of a draining server that has begun, and that may never end because it declares no length.
func (d *Driver) drainStream(c *transport.Conn, s *exchange.Stream) {
	if d.config.EndStreams && s.Started && !s.WebSocket && s.Response.Endless() {
		d.watchSilence(c, s)
	}
}

func (d *Driver) Doing(c *transport.Conn) string { return d.streamOf(c).Stage().String() }

// Patient: write_timeout applies to responses.
func (d *Driver) Patient() bool { return false }

// Gone ends the connection's request, if it has one.
func (d *Driver) Gone(c *transport.Conn) {
	if c.Stream == 0 {
		return
	}
	s := d.streamOf(c)
	switch {
	case s.Own == 0:
	case s.WebSocket:
		d.upgrades.Drop(s)
	default:
		d.chunks.Free(s.Own - 1)
	}
	d.streams.Drop(s)
	c.Stream = 0
}
