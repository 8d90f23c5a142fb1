// The answer -> bytes. What one connection says in one turn leaves in one system call.  per turn

package conn

import (
	"unsafe"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/sock"
)

// output gathers what one connection is to be sent: bytes of our own in buf, in between them borrowed ones and files.
type output struct {
	conn     *Conn
	buf      *bytebufferpool.ByteBuffer
	open     int // where in buf the segment not yet in segments begins
	segments []segment
	hasFile  bool
	iov      sock.Gather
}

// segment is a run of bytes: of a file; borrowed, at address at, when there is a token; else of buf, from offset at.
type segment struct {
	at    uintptr
	n     int
	token uint64
	file  file
}

// gather makes c the connection whose output is gathered; another one's is written out first.
func (h *Host) gather(c *Conn) {
	if h.out.conn == c {
		return
	}
	h.Flush()
	if h.out.buf == nil {
		h.out.buf = bytebufferpool.Get()
	}
	h.out.conn = c
}

// add appends a piece. Short ones are copied, so that they share a segment with what is around them.
func (o *output) add(p piece) {
	switch {
	case p.file.open():
		o.seal()
		o.hasFile = true
		o.segments = append(o.segments, segment{n: p.file.n, file: p.file})
	case p.token != 0:
		o.seal()
		o.segments = append(o.segments, segment{at: handoff.Pointer(p.bytes), n: len(p.bytes), token: p.token})
	default:
		o.buf.B = append(o.buf.B, p.bytes...)
	}
}

func (o *output) seal() {
	if n := len(o.buf.B) - o.open; n > 0 {
		o.segments = append(o.segments, segment{at: uintptr(o.open), n: n})
		o.open = len(o.buf.B)
	}
}

func (o *output) reset() {
	o.conn, o.open, o.segments, o.hasFile = nil, 0, o.segments[:0], false
	if cap(o.buf.B) > limits.ReadBytes {
		bytebufferpool.Put(o.buf)
		o.buf = bytebufferpool.Get()
	}
	o.buf.Reset()
}

func (o *output) pointer(s segment) unsafe.Pointer {
	if s.token == 0 {
		return unsafe.Pointer(&o.buf.B[s.at])
	}
	return unsafe.Pointer(unsafe.SliceData(handoff.Bytes(s.at, uint64(s.n))))
}

// flushOf writes out what is gathered, if it is of c.
func (h *Host) flushOf(c *Conn) {
	if h.out.conn == c {
		h.Flush()
	}
}

// Flush writes out what is gathered. What the socket does not take is queued.
func (h *Host) Flush() {
	c := h.out.conn
	if c == nil {
		return
	}
	outer := h.working
	h.WorkFor(c)
	h.out.seal()
	done, failed := 0, false
	hasFile := h.out.hasFile
	if c.queue == 0 && c.writable && !hasFile {
		done, failed = h.writeGathered(c)
	}
	h.fault("write")
	h.settle(c, done)
	h.out.reset()
	switch {
	case failed:
		h.disconnect(c, "peer closed")
	case hasFile:
		h.writeQueue(c)
	default:
		h.sent(c)
	}
	h.WorkFor(outer)
}

// writeGathered sends as many segments as the socket takes and returns the bytes sent.
func (h *Host) writeGathered(c *Conn) (done int, failed bool) {
	o := &h.out
	if len(o.segments) == 1 && o.segments[0].token == 0 {
		return h.took(c, len(o.buf.B), func() (int, unix.Errno) { return sock.Write(int(c.fd), o.buf.B) })
	}
	for first := 0; first < len(o.segments); {
		total := 0
		for first < len(o.segments) {
			s := o.segments[first]
			total += s.n
			first++
			if !o.iov.Add(o.pointer(s), s.n) {
				break
			}
		}
		n, failed := h.took(c, total, func() (int, unix.Errno) { return o.iov.Write(int(c.fd), false) })
		done += n
		if failed || n < total {
			return done, failed
		}
	}
	return done, false
}

// took does one write of total bytes and remembers whether the socket is full.
func (h *Host) took(c *Conn, total int, write func() (int, unix.Errno)) (n int, failed bool) {
	n, errno := write()
	if errno != sock.OK {
		n = 0
	}
	if n < total {
		c.writable = false
	}
	return n, errno != sock.OK && errno != unix.EAGAIN
}

// settle gives written borrowed segments back and queues what is left after done bytes.
func (h *Host) settle(c *Conn, done int) {
	o := &h.out
	for i, s := range o.segments {
		o.segments[i] = segment{} // given back or queued, not both: see Recover
		sent := min(done, s.n)
		done -= sent
		switch {
		case sent == s.n:
			h.giveBack(piece{token: s.token, file: s.file})
		case s.token != 0 || s.file.open():
			h.enqueue(c, queued{ptr: s.at, off: sent, n: s.n, token: s.token, file: s.file})
		default:
			h.enqueueCopy(c, o.buf.B[int(s.at)+sent:int(s.at)+s.n])
		}
	}
}

// queue is the unsent output of one connection whose peer is slow.
type queue struct {
	segments []queued
	first    int // of segments, not sent yet
	bytes    int // unsent
}

// queued is a segment that outlives its turn: of a file, borrowed, or own.
type queued struct {
	own    *bytebufferpool.ByteBuffer
	ptr    uintptr
	off, n int // sent, in all
	token  uint64
	file   file
}

// queues are all of them; a connection knows its own by number.
type queues struct {
	all   []queue
	free  []uint32
	bytes int
}

func (q *queues) live() int { return len(q.all) - len(q.free) }

func (q *queues) of(c *Conn) *queue { return &q.all[c.queue-1] }

func (q *queues) unsent(c *Conn) int {
	if c.queue == 0 {
		return 0
	}
	return q.of(c).bytes
}

func (q *queues) open(c *Conn) *queue {
	if c.queue == 0 {
		if n := len(q.free); n > 0 {
			c.queue = q.free[n-1] + 1
			q.free = q.free[:n-1]
		} else {
			q.all = append(q.all, queue{})
			c.queue = uint32(len(q.all))
		}
	}
	return q.of(c)
}

func (h *Host) enqueue(c *Conn, s queued) {
	q := h.queues.open(c)
	if q.bytes == 0 {
		c.wrote = h.now
	}
	q.segments = append(q.segments, s)
	q.bytes += s.n - s.off
	h.queues.bytes += s.n - s.off
	h.arm(c)
}

func (h *Host) enqueueCopy(c *Conn, b []byte) {
	own := bytebufferpool.Get()
	own.B = append(own.B[:0], b...)
	h.enqueue(c, queued{own: own, n: len(b)})
}

func (s *queued) pointer() unsafe.Pointer {
	if s.own != nil {
		return unsafe.Pointer(&s.own.B[s.off])
	}
	return unsafe.Pointer(unsafe.SliceData(handoff.Bytes(s.ptr+uintptr(s.off), 1)))
}

// writeQueue goes on with unsent output, as far as the socket has room; of files, as far as one step goes.
func (h *Host) writeQueue(c *Conn) {
	for budget := limits.FileStepBytes; c.queue != 0 && c.writable; {
		q := h.queues.of(c)
		n, failed := 0, false
		if s := &q.segments[q.first]; s.file.open() {
			if budget <= 0 {
				h.wait(c)
				return
			}
			n, failed = h.writeFile(c, s, min(budget, s.n-s.off))
			budget -= n
		} else {
			n, failed = h.writeQueued(c, q)
		}
		if failed {
			h.disconnect(c, "peer closed")
			return
		}
		if n > 0 {
			c.wrote = h.now
			h.dequeue(c, n)
		}
	}
	h.payPong(c)
	h.tellDrained(c)
	h.sent(c)
}

// writeQueued sends the bytes at the front of the queue, up to a file.
func (h *Host) writeQueued(c *Conn, q *queue) (n int, failed bool) {
	total, more := 0, false
	for i := q.first; i < len(q.segments); i++ {
		s := &q.segments[i]
		if more = s.file.open(); more {
			break
		}
		total += s.n - s.off
		if !h.out.iov.Add(s.pointer(), s.n-s.off) {
			break
		}
	}
	return h.took(c, total, func() (int, unix.Errno) { return h.out.iov.Write(int(c.fd), more) })
}

// dequeue takes n sent bytes off the queue.
func (h *Host) dequeue(c *Conn, n int) {
	q := h.queues.of(c)
	q.bytes -= n
	h.queues.bytes -= n
	for n > 0 {
		s := &q.segments[q.first]
		took := min(n, s.n-s.off)
		s.off += took
		n -= took
		if s.off == s.n {
			h.freeSegment(s)
			q.first++
		}
	}
	if q.bytes == 0 {
		h.freeQueue(c)
	} else if q.first > limits.GatherSegments {
		q.segments = append(q.segments[:0], q.segments[q.first:]...)
		q.first = 0
	}
}

func (h *Host) freeSegment(s *queued) {
	if s.own != nil {
		bytebufferpool.Put(s.own)
	}
	h.giveBack(piece{token: s.token, file: s.file})
	*s = queued{}
}

func (h *Host) freeQueue(c *Conn) {
	q := h.queues.of(c)
	q.segments, q.first = q.segments[:0], 0
	h.queues.free = append(h.queues.free, c.queue-1)
	c.queue = 0
}

// dropQueue gives unsent output up.
func (h *Host) dropQueue(c *Conn) {
	if c.queue == 0 {
		return
	}
	q := h.queues.of(c)
	for i := q.first; i < len(q.segments); i++ {
		h.freeSegment(&q.segments[i])
	}
	h.queues.bytes -= q.bytes
	q.bytes = 0
	h.freeQueue(c)
}
