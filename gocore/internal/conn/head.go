// A request head: bytes in, a request for the app out.  per request
//
// Bytes are read straight into the turn's arena. A head that is complete after one read, as nearly all are, is parsed and
// handed to C where it lies; only an unfinished one is parked in a buffer of the connection until more comes.

package conn

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

func (h *Host) readHead(c *Conn) step {
	buf, _, ok := h.input(c)
	if !ok {
		return rest
	}
	return h.parse(c, buf)
}

// input is what is parked with what can be read behind it, in the arena. fresh: something was read. ok is false when there
// is nothing new, or no room for it in this turn.
func (h *Host) input(c *Conn) (buf []byte, fresh, ok bool) {
	held := int(c.held)
	size := min(len(h.inbox.Free())-h.inbox.View(), held+limits.ReadBytes)
	if size < held+limits.ReadFloorBytes || !h.inbox.HasRoom() {
		h.wait(c)
		return nil, false, false
	}
	buf = h.inbox.Free()[:size]
	if held > 0 {
		copy(buf, c.parked.Bytes()[:held])
	}
	if fresh = int(c.scanned) == held; fresh { // nothing new among what is parked
		n, ok := h.read(c, buf[held:])
		if !ok {
			return nil, false, false
		}
		held += n
	}
	return buf[:held:held], fresh, true
}

// read reads into b. ok is false when there is nothing: for now, or because the peer has gone.
func (h *Host) read(c *Conn, b []byte) (n int, ok bool) {
	if !c.readable {
		return 0, false
	}
	n, errno := sock.Read(int(c.fd), b)
	switch {
	case errno == unix.EAGAIN:
		c.readable = false
		return 0, false
	case errno != sock.OK:
		h.mark(c, peerReset)
		return 0, false
	case n == 0:
		h.mark(c, peerClosed)
		return 0, false
	case n < len(b) && !c.hangup: // a short read has emptied the socket (epoll(7))
		c.readable = false
	}
	h.came += uint64(n)
	return n, true
}

func (h *Host) parse(c *Conn, buf []byte) step {
	h.head.Fields = h.inbox.Fields(len(buf), h.head.Limits.Fields)
	n, refusal := http1.ParseHead(&h.head, buf, int(c.scanned))
	switch {
	case refusal != nil:
		h.refuse(c, refusal)
		return rest
	case n == 0:
		return h.needMore(c, buf)
	}
	c.scanned = 0
	return h.begin(c, buf, n)
}

// needMore parks an unfinished head. The time for it counts from its first byte, or from accept.
func (h *Host) needMore(c *Conn, buf []byte) step {
	if c.phase == Idle {
		h.enter(c, Head)
	}
	if !h.park(c, buf) {
		return rest
	}
	c.scanned = uint32(len(buf))
	h.arm(c)
	return again
}

// park keeps b for later turns, in place of what was parked.
func (h *Host) park(c *Conn, b []byte) bool {
	if len(b) == 0 {
		h.unpark(c)
		return true
	}
	if c.parked.None() || len(c.parked.Bytes()) < len(b) {
		buffer, err := h.buffers.Get(len(b))
		if err != nil {
			h.mark(c, noMemory)
			return false
		}
		h.unpark(c)
		c.parked = buffer
	}
	c.held, c.scanned = uint32(copy(c.parked.Bytes(), b)), 0
	return true
}

func (h *Host) unpark(c *Conn) {
	if !c.parked.None() {
		h.buffers.Put(c.parked)
		c.parked = pool.Buffer{}
	}
	c.held, c.scanned = 0, 0
}

// begin hands a request to the app: buf holds its head in the first n bytes, then what came behind it.
func (h *Host) begin(c *Conn, buf []byte, n int) step {
	head := &h.head
	h.Counts.Requests++
	c.requests++
	number, s, err := h.streams.Alloc()
	if err != nil {
		h.mark(c, noMemory)
		return rest
	}
	c.stream = number + 1
	s.open(c, head, h.nextSerial())
	h.fault("request")
	body, behind, refusal := h.admitBody(s, buf[n:])
	if refusal == nil && head.UpgradeWebSocket {
		refusal = h.greet(c, s, buf)
	}
	if refusal != nil {
		s.complete = true
		h.refuse(c, refusal)
		return rest
	}
	if !s.bodyDone {
		s.countPiece(body)
	}
	if !h.park(c, behind) {
		return rest
	}
	h.view(c, s, number, buf, body)
	if s.bodyDone {
		s.enter(Answer)
		h.enter(c, Busy)
	} else {
		s.enter(Body)
		h.enter(c, Busy)
		h.arm(c)
	}
	return again
}

func (s *Stream) open(c *Conn, head *http1.Head, serial uint32) {
	s.serial, s.conn = serial, c.number
	s.answer = message.Response{Minor: head.Minor, HEAD: head.IsHEAD, Close: !head.KeepAlive, ContentLength: -1}
	s.inChunks = head.Chunked
	if head.ContentLength > 0 {
		s.remaining = uint64(head.ContentLength)
	}
	s.bodyDone = !s.inChunks && s.remaining == 0
	s.expecting = head.ExpectContinue && !s.bodyDone
}

// admitBody decodes what came behind the head, unless the app need not see the request at all.
func (h *Host) admitBody(s *Stream, b []byte) (body, behind []byte, refusal *message.Refusal) {
	if refusal = h.unwanted(&h.head); refusal == nil {
		body, behind, refusal = s.decode(b)
	}
	if refusal == nil && h.oversized(s) {
		refusal = tooLarge
	}
	return body, behind, refusal
}

func (h *Host) unwanted(head *http1.Head) *message.Refusal {
	if limit := h.Config.MaxRequestBody; limit > 0 && head.ContentLength > 0 && uint64(head.ContentLength) > limit {
		return tooLarge
	}
	if head.IsCONNECT {
		return noTunnel
	}
	return nil
}

// view describes the request to C and keeps what it points to for this turn.
func (h *Host) view(c *Conn, s *Stream, number uint32, buf, body []byte) {
	head := &h.head
	fields := head.Fields
	size := (len(buf)+7)&^7 + len(fields)*fieldBytes
	free := h.inbox.Free()
	path := head.Path.In(buf)
	if head.PathEscaped {
		decoded := http1.DecodePath(free[size:size], path)
		path = decoded
		size += len(decoded)
	}
	h.inbox.Keep(size)

	r := h.inbox.NewRequest()
	r.Head, r.Path, r.PathLen = handoff.Pointer(buf), handoff.Pointer(path), uint32(len(path))
	r.Method, r.RawPath, r.Query = head.Method, head.Path, head.Query
	r.Minor, r.Listener = uint32(head.Minor), c.listener
	r.Client, r.Local = c.client, c.local
	if len(fields) > 0 {
		r.Fields, r.NFields = fieldsPointer(fields), uint32(len(fields))
	}
	if len(body) > 0 {
		r.Body, r.BodyLen = handoff.Pointer(body), uint32(len(body))
	}
	var flags uint32
	if s.bodyDone {
		flags |= handoff.EventLast
	}
	if s.expecting {
		flags |= handoff.EventContinue
	}
	if s.answer.HEAD {
		flags |= handoff.EventSilent
	}
	if s.socket != 0 {
		flags |= handoff.EventWebSocket
		r.Subprotocols, r.NSubprotocols = h.inbox.KeepSpans(h.shake.Subprotocols), uint32(len(h.shake.Subprotocols))
	}
	h.inbox.Add(handoff.Event{Kind: handoff.EventRequest, Flags: flags, Stream: s.handle(number), Data: requestPointer(r)})
}
