// What the app says, turned into the answer. Framing itself is decided in http1/framing.go.  per request

package conn

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/websocket"
)

// Command carries one command of the outbox out.
func (h *Host) Command(k *handoff.Command, payload []byte) {
	c, s := h.find(k.Stream)
	if s == nil {
		h.refund(k, payload)
		return
	}
	h.WorkFor(c)
	more := k.Flags&handoff.CommandMore != 0
	switch k.Kind {
	case handoff.CommandStart:
		h.start(c, s, uint16(k.Arg), payload)
	case handoff.CommandBody:
		h.piece(c, s, piece{bytes: payload}, more)
	case handoff.CommandBodyRef:
		ref := handoff.Ref(payload)
		h.piece(c, s, piece{bytes: handoff.Bytes(ref.Ptr, ref.Len), token: ref.Token}, more)
	case handoff.CommandFile:
		h.piece(c, s, piece{file: h.files.take(handoff.FileOf(payload))}, more)
	case handoff.CommandTrailers:
		h.trailers(c, s, payload, more)
	case handoff.CommandConsumed:
		h.consumed(c, s, k.Arg)
	case handoff.CommandContinue:
		h.proceed(c, s)
	case handoff.CommandNotify:
		h.notify(c, s)
	case handoff.CommandAbort:
		h.giveUp(c, s)
	case handoff.CommandWSAccept:
		h.accept(c, s, payload)
	case handoff.CommandWSSend:
		h.sendMessage(c, k, piece{bytes: payload})
	case handoff.CommandWSSendRef:
		ref := handoff.Ref(payload)
		h.sendMessage(c, k, piece{bytes: handoff.Bytes(ref.Ptr, ref.Len), token: ref.Token})
	case handoff.CommandWSClose:
		h.closeByApp(c, s, uint16(k.Arg), payload)
	}
}

// refund gives back what a command lends that comes too late.
func (h *Host) refund(k *handoff.Command, payload []byte) {
	switch k.Kind {
	case handoff.CommandBodyRef, handoff.CommandWSSendRef:
		h.inbox.Release(handoff.Ref(payload).Token)
	case handoff.CommandFile:
		h.giveBack(piece{file: h.files.take(handoff.FileOf(payload))})
	}
}

// start begins the answer.
func (h *Host) start(c *Conn, s *Stream, status uint16, fields []byte) {
	if s.started {
		return
	}
	if status < 200 {
		h.hint(c, s, status, fields)
		return
	}
	a := &s.answer
	a.Status = status
	a.Close = a.Close || h.isLast(c, s)
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

// isLast tells whether it is known as an answer begins that the connection will end behind it, so that the peer is told.
func (h *Host) isLast(c *Conn, s *Stream) bool {
	switch {
	case h.draining, s.expecting, h.spent(c):
		return true
	case s.socket != 0: // frames may follow, which are no request
		return true
	case !s.bodyDone && s.remaining > limits.DiscardBytes: // too much to be read for the sake of the next request
		return true
	}
	return c.hangup && c.held == 0 && sock.AtEnd(int(c.fd))
}

// hint sends an interim answer ahead of the answer (RFC 9110 15.2). Only a mistake of the bridge's makes it fail.
func (h *Host) hint(c *Conn, s *Stream, status uint16, fields []byte) {
	a := message.Response{Status: status, Minor: s.answer.Minor}
	h.gather(c)
	bytes, err := http1.AppendHead(h.out.buf.B, &a, fields, &h.defaults)
	h.out.buf.B = bytes
	if err != nil {
		h.appError(c, err.Error())
	}
}

// spent tells whether this is the last request that the connection may make.
func (h *Host) spent(c *Conn) bool {
	return h.Config.MaxKeepAliveRequests > 0 && c.requests >= h.Config.MaxKeepAliveRequests
}

// piece is a part of the answer's body: of a file, or bytes. With a token these are borrowed, else they are valid until the
// turn ends.
type piece struct {
	bytes []byte
	token uint64
	file  file
}

func (p *piece) size() int {
	if p.file.open() {
		return p.file.n
	}
	return len(p.bytes)
}

// piece sends a part of the body as the framing asks; with more false it is the last.
func (h *Host) piece(c *Conn, s *Stream, p piece, more bool) {
	a := &s.answer
	sent := s.sent + uint64(p.size())
	if !s.started || a.Mode == message.BodyNone {
		h.giveBack(p)
	} else if a.Mode == message.BodyLength && sent > uint64(a.ContentLength) {
		h.giveBack(p)
		h.wrongLength(c, s, "more", sent)
		return
	} else {
		s.sent = sent
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
	h.files.close(p.file)
}

func (h *Host) frame(c *Conn, mode message.BodyMode, p piece) {
	if p.size() == 0 { // an empty chunk would be the last
		h.giveBack(p)
		return
	}
	h.gather(c)
	h.fault("piece")
	if mode != message.BodyChunked {
		h.out.add(p)
		return
	}
	h.out.buf.B = http1.AppendChunkHeader(h.out.buf.B, p.size())
	h.out.add(p)
	h.out.buf.B = append(h.out.buf.B, '\r', '\n')
}

func (h *Host) lastPiece(c *Conn, s *Stream) {
	a := &s.answer
	switch {
	case a.Mode == message.BodyLength && s.sent < uint64(a.ContentLength):
		h.wrongLength(c, s, "less", s.sent)
		return
	case a.Mode == message.BodyChunked:
		h.gather(c)
		h.out.buf.B = append(h.out.buf.B, http1.LastChunk...)
	}
	h.complete(c, s)
}

// trailers end an answer in place of its last piece. Only a chunked body has room for them.
func (h *Host) trailers(c *Conn, s *Stream, fields []byte, more bool) {
	if s.answer.Mode != message.BodyChunked || !s.started {
		if !more {
			h.lastPiece(c, s)
		}
		return
	}
	h.gather(c)
	bytes, leftOut, err := http1.AppendTrailers(h.out.buf.B, fields, !s.trailing, !more)
	h.out.buf.B = bytes
	s.trailing = true
	switch {
	case err != nil:
		h.appError(c, err.Error())
		h.abort(c, s)
		return
	case leftOut != "":
		h.appErrorf(c, "a trailer named %s is not allowed (RFC 9110 6.5.1) and was left out", leftOut)
	}
	if !more {
		h.complete(c, s)
	}
}

// complete: the app has said all. The answer is over when its last byte is sent.
func (h *Host) complete(c *Conn, s *Stream) {
	s.complete = true
	if s.bodyDone {
		h.dropStream(c)
	} else {
		s.enter(Discard)
	}
	h.enter(c, Flush)
}

// end leaves an answered request behind: on to the rest of its body, to the next request, or to the end.
func (h *Host) end(c *Conn) {
	switch {
	case c.last || h.draining && c.stream != 0:
		h.finishAnswered(c)
	case c.stream != 0:
		h.streamOf(c).received = 0
		h.enter(c, Busy)
		h.arm(c)
	default:
		h.next(c)
	}
}

// finishAnswered: what is left of the request's body will not be read.
func (h *Host) finishAnswered(c *Conn) {
	c.linger = c.linger || c.stream != 0
	h.finish(c)
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

// giveUp: the app is over without its last word.
func (h *Host) giveUp(c *Conn, s *Stream) {
	switch {
	case s.stage == Open:
		h.farewell(c, websocket.ServerError, nil)
	case s.started && s.answer.Mode == message.BodyNone: // all that the peer is to have of it is said
		h.complete(c, s)
	default:
		h.abort(c, s)
	}
}

// abort ends a stream whose app is over: with a 500 when nothing was sent, else by an end that is not a clean one.
func (h *Host) abort(c *Conn, s *Stream) {
	if !s.started {
		h.refuse(c, appFailed)
		return
	}
	if s.answer.Mode == message.BodyUntilClose {
		c.reset = true // a plain close would look like the end of the answer
	}
	h.mark(c, answered)
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
	h.putReady(c)
}

func (h *Host) tellDrained(c *Conn) {
	s := h.streamOf(c)
	if !s.notify || h.queues.unsent(c) > limits.LowWaterBytes {
		return
	}
	s.notify = false
	h.inbox.Add(handoff.Event{Kind: handoff.EventDrained, Stream: s.handle(c.stream - 1)})
}
