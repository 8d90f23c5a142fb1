// An open WebSocket: the peer's frames -> messages for the app, and the app's messages -> frames.  per message

package conn

import (
	"math"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/websocket"
)

// readFrames reads on unless the app has enough to do with what it was given.
func (h *Host) readFrames(c *Conn) step {
	s := h.streamOf(c)
	if s.unread >= limits.UnreadBytes {
		return rest
	}
	buf, fresh, ok := h.input(c)
	if !ok {
		return rest
	}
	if fresh && s.stage == Open {
		c.since = h.now
		h.socketOf(s).asked = false
	}
	h.inbox.Keep(len(buf))
	return h.takeFrames(c, s, buf)
}

// takeFrames goes through what came, and parks what must wait: for its rest, for the app, or for room.
func (h *Host) takeFrames(c *Conn, s *Stream, buf []byte) step {
	w := h.socketOf(s)
	before := s.unread
	for s.unread < limits.UnreadBytes && h.inbox.HasRoom() {
		n := w.decoder.Next(&h.heard, buf)
		if h.heard.Kind == websocket.Failed && s.unread != before { // the app may still answer what came before it
			h.wait(c)
			break
		}
		buf = buf[n:]
		if h.heard.Kind == websocket.Nothing {
			return h.parkBeginning(c, buf)
		}
		if h.hear(c, s, w, &h.heard) == rest {
			return rest
		}
	}
	if !h.park(c, buf) || c.waiting {
		return rest
	}
	return again
}

// parkBeginning keeps the beginning of a frame, of which nothing can be made until more comes.
func (h *Host) parkBeginning(c *Conn, buf []byte) step {
	if !h.park(c, buf) {
		return rest
	}
	c.scanned = c.held
	return again
}

// hear takes in what the peer said; rest: it was its last word.
func (h *Host) hear(c *Conn, s *Stream, w *Socket, p *websocket.Piece) step {
	switch p.Kind {
	case websocket.Data:
		return h.pass(c, s, w, p)
	case websocket.Ping:
		return h.answerPing(c, s, w, p.Bytes)
	case websocket.Close:
		h.closedByPeer(c, s, p)
		return rest
	case websocket.Failed:
		h.failPeer(c, s, p.Failure)
		return rest
	}
	return again
}

// pass hands a piece of a message to the app. That it has not taken a message counts once the message is whole.
func (h *Host) pass(c *Conn, s *Stream, w *Socket, p *websocket.Piece) step {
	if s.stage != Open {
		return again
	}
	if p.Compressed {
		return h.unpack(c, s, w, p)
	}
	if p.First && (p.Coming > 0 || !p.Last) {
		h.inbox.Add(handoff.Event{Kind: handoff.EventWSExpect, Stream: s.handle(c.stream - 1), Len: uint64(len(p.Bytes)) + p.Coming})
	}
	if len(p.Bytes) > 0 || p.Last {
		h.tell(c, s, p.Bytes, p.Text, p.Last)
	}
	if p.Last {
		h.count(s, p.Total)
	}
	return again
}

// count: the app has a message of n octets to take.
func (h *Host) count(s *Stream, n uint64) {
	s.unread += uint32(min(n, math.MaxInt32)) + limits.MessageCostBytes
}

func (h *Host) tell(c *Conn, s *Stream, b []byte, text, last bool) {
	var flags uint32
	if text {
		flags |= handoff.EventText
	}
	if last {
		flags |= handoff.EventLast
	}
	h.inbox.Add(handoff.Event{Kind: handoff.EventWSData, Flags: flags, Stream: s.handle(c.stream - 1), Data: handoff.Pointer(b), Len: uint64(len(b))})
}

// answerPing says Pong at once. When much is unsent already, only the last Ping is answered, once there is room (RFC 6455 5.5.3).
func (h *Host) answerPing(c *Conn, s *Stream, w *Socket, payload []byte) step {
	if s.stage != Open {
		return again
	}
	h.dropPong(w)
	if h.queues.unsent(c) > limits.LowWaterBytes {
		h.owePong(w, payload)
		return again
	}
	h.gather(c)
	h.out.buf.B = append(websocket.AppendHeader(h.out.buf.B, websocket.OpPong, len(payload)), payload...)
	if len(h.out.buf.B) > limits.ReadBytes {
		h.flushOf(c)
	}
	return step(c.ending == stays)
}

// owePong keeps the payload. Without memory for it the peer gets no Pong, as if the Ping had been lost with the connection.
func (h *Host) owePong(w *Socket, payload []byte) {
	buffer, err := h.buffers.Get(limits.MaxControlBytes)
	if err != nil {
		return
	}
	w.pong, w.owed = buffer, uint8(copy(buffer.Bytes(), payload))
}

func (h *Host) dropPong(w *Socket) {
	if !w.pong.None() {
		h.buffers.Put(w.pong)
		w.pong = pool.Buffer{}
	}
}

// payPong says a Pong that is owed, now that little is unsent.
func (h *Host) payPong(c *Conn) {
	s := h.streamOf(c)
	if s.stage != Open || h.queues.unsent(c) > limits.LowWaterBytes {
		return
	}
	w := h.socketOf(s)
	if w.pong.None() {
		return
	}
	h.gather(c)
	h.out.buf.B = append(websocket.AppendHeader(h.out.buf.B, websocket.OpPong, int(w.owed)), w.pong.Bytes()[:w.owed]...)
	h.dropPong(w)
}

// sendMessage sends a message of the app's in one frame.
func (h *Host) sendMessage(c *Conn, k *handoff.Command, p piece) {
	s := h.streamOf(c)
	if s.stage != Open {
		h.giveBack(p)
		return
	}
	op := websocket.OpBinary
	if k.Flags&handoff.CommandText != 0 {
		op = websocket.OpText
	}
	h.gather(c)
	if w := h.socketOf(s); w.deflate.On() && h.sendDeflated(w, op, p.bytes) {
		h.giveBack(p)
		return
	}
	h.out.buf.B = websocket.AppendHeader(h.out.buf.B, op, len(p.bytes))
	h.out.add(p)
}
