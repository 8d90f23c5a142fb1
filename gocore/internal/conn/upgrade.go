// From a request to a WebSocket: what the peer asks for, and the app's consent.  per connection

package conn

import (
	"unsafe"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/websocket"
)

// Socket is what a WebSocket needs besides its connection and its stream. It lies outside Go's heap and holds no Go pointer.
type Socket struct {
	decoder websocket.Decoder
	pong    pool.Buffer // payload of the last Ping, while there is no room for its Pong
	pack    uint32      // number + 1 of its pack
	pinged  uint32      // tick of our last Ping
	accept  [websocket.AcceptBytes]byte
	deflate websocket.Deflate
	owed    uint8 // octets in pong
	asked   bool  // nothing has come since our last Ping
}

// Proof that the record stays within its price.
const _ = uint(limits.SocketBytes - unsafe.Sizeof(Socket{}))

func (h *Host) socketOf(s *Stream) *Socket { return h.sockets.At(s.socket - 1) }

var outOfMemory = &message.Refusal{Status: 503, Reason: "no memory for a WebSocket", Section: "RFC 9110 15.6.4"}

// greet reads the handshake of the request in h.head, which was parsed from buf.
func (h *Host) greet(c *Conn, s *Stream, buf []byte) *message.Refusal {
	if refusal := h.shake.Shake(&h.head, buf, h.shake.Subprotocols[:0], h.Config.WSContext); refusal != nil {
		return refusal
	}
	number, w, err := h.sockets.Alloc()
	if err != nil {
		return outOfMemory
	}
	s.socket = number + 1
	w.accept = h.shake.Accept
	w.decoder.MaxBytes = h.Config.WSMaxBytes
	if h.Config.WSDeflate && h.shake.Deflate.On() {
		w.deflate = h.shake.Deflate
		w.decoder.AllowCompressed()
	}
	return nil
}

// accept makes the connection a WebSocket. What came behind its request are frames.
func (h *Host) accept(c *Conn, s *Stream, fields []byte) {
	if s.started || s.socket == 0 {
		return
	}
	w := h.socketOf(s)
	h.gather(c)
	own := websocket.AppendFields(h.scratch[:0], &w.accept, w.deflate)
	bytes, err := http1.AppendUpgrade(h.out.buf.B, own, fields, &h.defaults)
	h.scratch, h.out.buf.B = own, bytes
	if err != nil {
		h.appError(c, err.Error())
		h.abort(c, s)
		return
	}
	s.started = true
	h.enterStage(c, s, Open)
	w.pinged = h.now
	h.arm(c)
	if h.draining {
		h.farewell(c, websocket.ServiceRestart, nil)
	}
	if c.readable || c.held > 0 {
		h.putReady(c)
	}
}

// dropSocket gives back what the WebSocket of a stream holds, if it has one.
func (h *Host) dropSocket(s *Stream) {
	if s.socket == 0 {
		return
	}
	w := h.socketOf(s)
	h.dropPong(w)
	h.packs.drop(&w.pack)
	h.sockets.Free(s.socket - 1)
}
