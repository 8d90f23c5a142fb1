// The answer -> bytes. What one connection says in one turn leaves in one system call.  per turn

package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// output gathers what one connection is to be sent: bytes of our own in buf, in between them borrowed ones and files.
type output struct {
	conn     *Conn
	memory   []byte             // mapped; nil: not yet
	buf      struct{ B []byte } // in memory, as long as that is enough
	sealed   int                // where in buf the segment not yet in segments begins
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
	if h.out.memory == nil {
		h.out.open()
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
	if n := len(o.buf.B) - o.sealed; n > 0 {
		o.segments = append(o.segments, segment{at: uintptr(o.sealed), n: n})
		o.sealed = len(o.buf.B)
	}
}

func (o *output) reset() {
	o.conn, o.sealed, o.segments, o.hasFile = nil, 0, o.segments[:0], false
	o.buf.B = o.memory[:0]
}

// open makes room; without memory for it each turn has its own in Go's heap.
func (o *output) open() {
	o.memory, _ = pool.Map(limits.GatherBytes)
	o.buf.B = o.memory[:0]
}

func (o *output) close() {
	if o.memory != nil {
		pool.Unmap(o.memory)
	}
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
	kept := h.queueRest(c, done)
	h.out.reset()
	switch {
	case failed:
		h.mark(c, peerClosed)
	case !kept:
		h.mark(c, noMemory)
	case hasFile:
		h.writeQueue(c)
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

// queueRest gives written borrowed segments back and queues what is left after done bytes. Without memory for that nothing is
// queued any more, and kept is false.
func (h *Host) queueRest(c *Conn, done int) (kept bool) {
	o := &h.out
	kept = true
	for i, s := range o.segments {
		o.segments[i] = segment{} // given back or queued, not both: see Recover
		sent := min(done, s.n)
		done -= sent
		lent := s.token != 0 || s.file.open()
		switch {
		case sent == s.n || lent && !kept:
			h.giveBack(piece{token: s.token, file: s.file})
		case lent:
			kept = h.enqueue(c, queued{ptr: s.at, off: sent, n: s.n, token: s.token, file: s.file})
		case kept:
			kept = h.enqueueCopy(c, o.buf.B[int(s.at)+sent:int(s.at)+s.n])
		}
	}
	return kept
}
