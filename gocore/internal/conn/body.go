// A request body: bytes in, pieces for the app out.  per byte

package conn

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

const fieldBytes = int(unsafe.Sizeof(http1.Field{}))

func fieldsPointer(fields []http1.Field) uintptr { return uintptr(unsafe.Pointer(&fields[0])) }

func requestPointer(r *handoff.Request) uintptr { return uintptr(unsafe.Pointer(r)) }

// readBody reads on unless the app has enough to do with what it was given.
func (h *Host) readBody(c *Conn) step {
	s := h.streamOf(c)
	if s.unread >= limits.UnreadBytes {
		return rest // a peer that has gone is noticed when the app reads on, or writes
	}
	buf, ok := h.readPiece(c, s)
	if !ok {
		return rest
	}
	body, behind, refusal := s.decode(buf)
	if refusal == nil && h.oversized(s) {
		refusal = tooLarge
	}
	if refusal != nil {
		h.refuse(c, refusal)
		return rest
	}
	if len(body) > 0 { // what only frames it is no progress
		c.since = h.now
	}
	var flags uint32
	if s.bodyDone {
		flags = handoff.EventLast
	} else {
		s.countPiece(body)
	}
	if len(body) > 0 || s.bodyDone {
		h.inbox.Keep(len(buf))
		h.inbox.Add(handoff.Event{Kind: handoff.EventBody, Flags: flags, Stream: s.handle(c.stream - 1),
			Data: handoff.Pointer(body), Len: uint64(len(body))})
	}
	if !h.park(c, behind) {
		return rest
	}
	if s.bodyDone {
		h.enterStage(c, s, Answer)
	}
	return again
}

// readPiece reads into the arena, never beyond a declared length, so that what follows stays in the socket.
func (h *Host) readPiece(c *Conn, s *Stream) (buf []byte, ok bool) {
	size := min(len(h.inbox.Free())-h.inbox.View(), limits.ReadBytes)
	if !s.inChunks {
		size = int(min(uint64(max(size, 0)), s.remaining))
	}
	if size < limits.ReadFloorBytes && (s.inChunks || uint64(size) < s.remaining) || !h.inbox.HasRoom() {
		h.wait(c)
		return nil, false
	}
	buf = h.inbox.Free()[:size]
	n, ok := h.read(c, buf)
	return buf[:n:n], ok
}

// decode takes the body out of b, in place: it is moved to the front of b. behind is what follows the request.
func (s *Stream) decode(b []byte) (body, behind []byte, refusal *message.Refusal) {
	if s.inChunks {
		body, behind, refusal = s.decodeChunks(b)
	} else {
		n := min(uint64(len(b)), s.remaining)
		s.remaining -= n
		s.bodyDone = s.remaining == 0
		body, behind = b[:n], b[n:]
	}
	s.received += uint64(len(body))
	if len(body) > 0 || s.bodyDone {
		s.expecting = false // a peer that sends does not wait (RFC 9110 10.1.1)
	}
	return body, behind, refusal
}

func (s *Stream) decodeChunks(b []byte) (body, behind []byte, refusal *message.Refusal) {
	filled := 0
	for rest := b; !s.bodyDone && len(rest) > 0; {
		data, n, done, refusal := s.chunked.Next(rest)
		if refusal != nil {
			return nil, nil, refusal
		}
		filled += copy(b[filled:], data)
		rest = rest[n:]
		s.bodyDone = done
		behind = rest
		if n == 0 {
			break
		}
	}
	return b[:filled], behind, nil
}

func (h *Host) oversized(s *Stream) bool {
	return h.Config.MaxRequestBody > 0 && s.received > h.Config.MaxRequestBody
}

// countPiece: the app has a piece of a body to take that goes on.
func (s *Stream) countPiece(body []byte) {
	if len(body) > 0 {
		s.unread += uint32(len(body)) + limits.PieceCostBytes
	}
}

// consumed: the app took n bytes, so reading may go on.
func (h *Host) consumed(c *Conn, s *Stream, n uint32) {
	paused := s.unread >= limits.UnreadBytes
	s.unread -= min(n, s.unread)
	if s.unread < limits.UnreadBytes && (s.stage == Body || s.stage == Open && paused) {
		c.since = h.now
		if s.stage == Open {
			h.socketOf(s).asked = false // its answer was not listened to
		}
		h.arm(c)
		h.putReady(c)
	}
}

// discardBody reads what the app did not want, to keep the connection for the next request.
func (h *Host) discardBody(c *Conn) step {
	s := h.streamOf(c)
	buf, ok := h.readPiece(c, s)
	if !ok {
		return rest
	}
	before := s.received
	_, behind, refusal := s.decode(buf)
	if refusal != nil || s.received > limits.DiscardBytes {
		c.last, c.linger = true, true
		h.end(c)
		return again
	}
	if s.received > before {
		c.since = h.now
	}
	if !h.park(c, behind) {
		return rest
	}
	if s.bodyDone {
		h.next(c)
	}
	return again
}

// discardAll listens to a peer that was told its last, without heeding it.
func (h *Host) discardAll(c *Conn) step {
	size := min(len(h.inbox.Free()), limits.ReadBytes)
	if size < limits.ReadFloorBytes {
		h.wait(c)
		return rest
	}
	n, ok := h.read(c, h.inbox.Free()[:size])
	if !ok {
		return rest
	}
	if c.lingered += uint32(n); c.lingered > limits.LingerBytes {
		h.mark(c, answered)
		return rest
	}
	return again
}
