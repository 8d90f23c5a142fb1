// What the app says, turned into the answer. Framing itself is decided in http1/framing.go.  per request

package conn

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
)

// Command carries one command of the outbox out.
func (h *Host) Command(k *handoff.Command, payload []byte) {
	c, s := h.find(k.Stream)
	if s == nil {
		if k.Kind == handoff.CommandBodyRef { // too late: nobody will read it
			h.inbox.Release(handoff.Ref(payload).Token)
		}
		return
	}
	more := k.Flags&handoff.CommandMore != 0
	switch k.Kind {
	case handoff.CommandStart:
		h.start(c, s, uint16(k.Arg), payload)
	case handoff.CommandBody:
		h.piece(c, s, piece{bytes: payload}, more)
	case handoff.CommandBodyRef:
		ref := handoff.Ref(payload)
		h.piece(c, s, piece{bytes: handoff.Bytes(ref.Ptr, ref.Len), token: ref.Token}, more)
	case handoff.CommandConsumed:
		h.consumed(c, s, k.Arg)
	case handoff.CommandContinue:
		h.proceed(c, s)
	case handoff.CommandNotify:
		h.notify(c, s)
	case handoff.CommandAbort:
		h.abort(c, s)
	}
}

// start begins the answer.
func (h *Host) start(c *Conn, s *Stream, status uint16, fields []byte) {
	if s.started {
		return
	}
	a := &s.answer
	a.Status = status
	a.Close = a.Close || h.draining || s.expecting || h.spent(c)
	h.gather(c)
	bytes, err := http1.AppendHead(h.out.buf.B, a, fields, &h.defaults)
	h.out.buf.B = bytes
	if err != nil {
		h.appError(c, err.Error())
		h.abort(c, s)
		return
	}
	s.started = true
	c.last = c.last || a.Close
	c.linger = c.linger || s.expecting
}

// spent tells whether this is the last request that the connection may make.
func (h *Host) spent(c *Conn) bool {
	return h.Config.MaxKeepAliveRequests > 0 && c.requests >= h.Config.MaxKeepAliveRequests
}

// piece is a part of the answer's body. With a token its bytes are borrowed, else they are valid until the turn ends.
type piece struct {
	bytes []byte
	token uint64
}

// piece sends a part of the body as the framing asks; with more false it is the last.
func (h *Host) piece(c *Conn, s *Stream, p piece, more bool) {
	a := &s.answer
	if !s.started || a.Mode == http1.BodyNone {
		h.giveBack(p)
	} else if a.Mode == http1.BodyLength && s.sent+uint64(len(p.bytes)) > uint64(a.ContentLength) {
		h.giveBack(p)
		h.wrongLength(c, s, "more", s.sent+uint64(len(p.bytes)))
		return
	} else {
		s.sent += uint64(len(p.bytes))
		h.frame(c, a.Mode, p)
	}
	if !more {
		h.lastPiece(c, s)
	}
}

func (h *Host) giveBack(p piece) {
	if p.token != 0 {
		h.inbox.Release(p.token)
	}
}

func (h *Host) frame(c *Conn, mode http1.BodyMode, p piece) {
	if len(p.bytes) == 0 { // an empty chunk would be the last
		h.giveBack(p)
		return
	}
	h.gather(c)
	if mode != http1.BodyChunked {
		h.out.add(p)
		return
	}
	h.out.buf.B = http1.AppendChunkHeader(h.out.buf.B, len(p.bytes))
	h.out.add(p)
	h.out.buf.B = append(h.out.buf.B, '\r', '\n')
}

func (h *Host) lastPiece(c *Conn, s *Stream) {
	a := &s.answer
	switch {
	case a.Mode == http1.BodyLength && s.sent < uint64(a.ContentLength):
		h.wrongLength(c, s, "less", s.sent)
		return
	case a.Mode == http1.BodyChunked:
		h.gather(c)
		h.out.buf.B = append(h.out.buf.B, http1.LastChunk...)
	}
	h.complete(c, s)
}

// complete: the app has said all. The answer is over when its last byte is sent.
func (h *Host) complete(c *Conn, s *Stream) {
	s.complete = true
	if s.bodyDone {
		h.dropStream(c)
	}
	h.enter(c, Flush)
	if h.out.conn != c && c.queue == 0 {
		h.sent(c)
	}
}

// sent: nothing of the connection's output is unsent. A complete answer is then over.
func (h *Host) sent(c *Conn) {
	if c.phase != Flush {
		return
	}
	h.end(c)
	if c.readable || c.held > 0 {
		h.advance(c)
	}
}

// end leaves an answered request behind: on to the rest of its body, to the next request, or to the end.
func (h *Host) end(c *Conn) {
	switch {
	case c.last || h.draining:
		c.linger = c.linger || c.stream != 0
		h.finish(c)
	case c.stream != 0:
		h.streamOf(c).received = 0
		h.enter(c, Discard)
		h.arm(c)
	default:
		h.next(c)
	}
}

// next makes the connection ready for its next request.
func (h *Host) next(c *Conn) {
	h.dropStream(c)
	h.enter(c, Idle)
	h.arm(c)
}

// wrongLength: the app sent another length than it declared. The peer must not take it for a whole answer.
func (h *Host) wrongLength(c *Conn, s *Stream, than string, sent uint64) {
	h.appErrorf(c, "the app sent %s body than its content-length says: %d of %d bytes", than, sent, s.answer.ContentLength)
	h.abort(c, s)
}

// abort ends a stream whose app is over: with a 500 when nothing was sent, else by an end that is not a clean one.
func (h *Host) abort(c *Conn, s *Stream) {
	if !s.started {
		h.refuse(c, appFailed)
		return
	}
	h.flushOf(c)
	if s.answer.Mode == http1.BodyUntilClose {
		c.reset = true // a plain close would look like the end of the answer
	}
	h.close(c)
}

// proceed: the app asks for a body that the peer holds back (RFC 9110 10.1.1).
func (h *Host) proceed(c *Conn, s *Stream) {
	if !s.expecting {
		return
	}
	s.expecting = false
	if s.started {
		return // too late for an interim answer; Close was said
	}
	h.gather(c)
	h.out.buf.B = append(h.out.buf.B, "HTTP/1.1 100 Continue\r\n\r\n"...)
	c.since = h.now
	h.arm(c)
}

// notify: the app waits until little enough is unsent.
func (h *Host) notify(c *Conn, s *Stream) {
	s.notify = true
	h.flushOf(c)
	if c.phase != Closed {
		h.tellDrained(c)
	}
}

func (h *Host) tellDrained(c *Conn) {
	if c.stream == 0 {
		return
	}
	s := h.streamOf(c)
	if !s.notify || h.queues.unsent(c) > limits.LowWaterBytes {
		return
	}
	s.notify = false
	h.inbox.Add(handoff.Event{Kind: handoff.EventDrained, Stream: s.handle(c.stream - 1)})
}
