// Package ws drives WebSocket. It connects the bytes of a connection (transport) to the messages of the app, and uses websocket to
// parse and write bytes.
//
//	upgrade.go  the handshake, and the app's acceptance: from then on ws drives the connection
//	receive.go  the peer's frames -> messages for the app
//	send.go     the app's messages -> frames
//	pack.go     compressed messages
//	close.go    how a websocket ends
package ws

import (
	"unsafe"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// state is a websocket's record besides those of its connection and stream. It lies outside Go's heap and holds no Go pointer.
type state struct {
	decoder websocket.Decoder
	pong    pool.Buffer // payload of the last Ping, until there is room for its Pong
	pack    uint32      // number + 1 of its pack; 0: none
	pinged  uint32      // tick of our last Ping
	accept  [websocket.AcceptBytes]byte
	deflate websocket.Deflate
	owed    uint8 // octets in pong
	asked   bool  // nothing has arrived since our last Ping
}

// Compile-time check of the record's size.
const _ = uint(limits.WebsocketBytes - unsafe.Sizeof(state{}))

// Driver runs WebSocket on one server.
type Driver struct {
	config  *config.Config
	loop    *transport.Loop
	out     *transport.Output
	streams *exchange.Streams
	kind    transport.Kind

	states    pool.Slab[state]
	packs     packs
	handshake websocket.Handshake
	piece     websocket.Piece // the peer's piece being processed
	inflater  websocket.Inflater
	deflater  websocket.Deflater
	scratch   []byte // for output that is sent at once: lines of an upgrade, a deflated message
}

// Open registers d with a loop, for connections that are upgraded.
func (d *Driver) Open(loop *transport.Loop, streams *exchange.Streams) transport.Kind {
	d.config, d.loop, d.out, d.streams = &loop.Config, loop, &loop.Output, streams
	d.kind = loop.Add(d)
	return d.kind
}

// streamOf is the stream of a connection; it must have one.
func (d *Driver) streamOf(c *transport.Conn) *exchange.Stream { return d.streams.At(c.Stream - 1) }

func (d *Driver) stateOf(s *exchange.Stream) *state { return d.states.At(s.Own - 1) }

// step is the result of a step of Readable.
type step bool

const (
	again step = true
	wait  step = false // nothing to do until epoll, the app or a deadline
)

// Readable does all the work that the websocket's input, the app and the room of this turn allow.
func (d *Driver) Readable(c *transport.Conn) {
	if c.Stream != 0 && !c.Ends() {
		s := d.streamOf(c)
		d.sendLatePong(c, s)
		d.streams.NotifyDrained(c, s)
	}
	for next := again; next == again && !c.Ends(); {
		if c.Phase() != transport.Busy {
			d.watchOutput(c)
			return
		}
		next = d.readFrames(c, d.streamOf(c))
	}
}

// watchOutput ends the connection once our Close is sent.
func (d *Driver) watchOutput(c *transport.Conn) {
	switch {
	case d.out.Sent(c):
		d.loop.Finish(c)
	case c.Gone():
		d.loop.Mark(c, transport.PeerClosed)
	}
}

// Command carries out a command for the websocket.
func (d *Driver) Command(c *transport.Conn, k *handoff.Command, payload []byte) {
	s := d.streamOf(c)
	switch k.Kind {
	case handoff.CommandWSSend:
		d.send(c, s, k, transport.Piece{Bytes: payload})
	case handoff.CommandWSSendRef:
		d.send(c, s, k, transport.BorrowedPiece(handoff.Ref(payload)))
	case handoff.CommandWSClose:
		d.closeByApp(c, s, uint16(k.Arg), payload)
	case handoff.CommandConsumed:
		d.consumed(c, s, k.Arg)
	case handoff.CommandNotify:
		d.streams.Notify(c, s)
	case handoff.CommandAbort:
		d.closeForApp(c, s, websocket.ServerError, nil)
	default:
		d.streams.ReleaseCommand(k, payload)
	}
}

// Deadline is the tick at which the peer has been silent for too long.
func (d *Driver) Deadline(c *transport.Conn) uint32 {
	s := d.streamOf(c)
	if s.Stage() == exchange.Closing {
		return c.After(closeTicks)
	}
	return d.keepAliveDeadline(c, s)
}

// Expire handles a silent peer.
func (d *Driver) Expire(c *transport.Conn) {
	s := d.streamOf(c)
	if s.Stage() == exchange.Closing {
		d.loop.Mark(c, transport.Responded)
		return
	}
	d.keepAlive(c, s)
}

// Drain closes the websocket.
func (d *Driver) Drain(c *transport.Conn) {
	if s := d.streamOf(c); s.Stage() == exchange.Open {
		d.closeForApp(c, s, websocket.ServiceRestart, nil)
	}
}

func (d *Driver) Doing(c *transport.Conn) string { return d.streamOf(c).Stage().String() }

// Patient: write_timeout does not apply; a silent peer ends the websocket, however much is unsent.
func (d *Driver) Patient() bool { return true }

// Gone ends the connection's WebSocket, unless it is over.
func (d *Driver) Gone(c *transport.Conn) {
	if c.Stream != 0 {
		s := d.streamOf(c)
		d.Drop(s)
		d.streams.Drop(s)
		c.Stream = 0
	}
}

// Drop releases what the websocket of a stream holds.
func (d *Driver) Drop(s *exchange.Stream) {
	w := d.stateOf(s)
	d.dropPong(w)
	d.packs.drop(&w.pack)
	d.states.Free(s.Own - 1)
}

// Live is the number of requests that are, or may become, websockets.
func (d *Driver) Live() int { return d.states.Live() }

// Held is a number that changes when websockets have allocated or released memory.
func (d *Driver) Held() int { return d.Live() + d.packs.live() + d.packs.seen }

// Recover replaces the compressors, which may have panicked.
func (d *Driver) Recover() { d.inflater, d.deflater = websocket.Inflater{}, websocket.Deflater{} }

// Release releases up to about most unused bytes and returns how many.
func (d *Driver) Release(most int) (released int) {
	released = d.states.Release()
	return released + d.packs.buffers.Release(most-released)
}

// Shrink releases whatever is made again on demand.
func (d *Driver) Shrink() {
	d.Recover()
	d.scratch = nil
	d.packs.release()
}

func (d *Driver) Close() {
	d.states.Close()
	d.packs.buffers.Close()
	d.packs.free.Close()
}
