// Output. All output of one connection in one turn leaves in one system call.

package transport

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// Output gathers the output of one connection: its own bytes in B, with borrowed bytes and files in between. It owns the queues of
// output that sockets did not accept.
type Output struct {
	B []byte // in memory while that suffices; protocols append to it after Gather

	loop     *Loop
	conn     *Conn
	memory   []byte // mapped; nil until the first use
	sealed   int    // where in B the segment begins that is not in segments yet
	segments []segment
	hasFile  bool
	iov      sock.Gather
	queues   queues
	files    int // number of open files
	sent     uint64
}

// segment is a run of bytes: of a file; with a token, borrowed at address at; else in B from offset at.
type segment struct {
	at    uintptr
	n     int
	token uint64
	file  file
}

// Piece is bytes to send, or a part of a file. With a token the bytes are borrowed; without, they are valid until the turn ends.
type Piece struct {
	Bytes []byte
	Token uint64
	file  file
}

// BorrowedPiece is the bytes that a command lends.
func BorrowedPiece(ref *handoff.BodyRef) Piece {
	return Piece{Bytes: handoff.Bytes(ref.Ptr, ref.Len), Token: ref.Token}
}

func (p *Piece) Size() int {
	if p.file.open() {
		return p.file.n
	}
	return len(p.Bytes)
}

// Gather makes c the connection whose output is gathered, after flushing that of another one.
func (o *Output) Gather(c *Conn) {
	if o.conn != c {
		o.change(c)
	}
}

func (o *Output) change(c *Conn) {
	o.Flush()
	if o.memory == nil {
		o.open()
	}
	o.conn = c
}

// Sent tells whether all output of the connection has left.
func (o *Output) Sent(c *Conn) bool { return c.queue == 0 && o.conn != c }

// Unsent is the size of the connection's queued output: its bytes, and FileCostBytes for each file.
func (o *Output) Unsent(c *Conn) int { return o.queues.unsent(c) }

// Waiting is the number of octets of the connection that its socket has not accepted.
func (o *Output) Waiting(c *Conn) (n int) {
	if o.conn == c {
		o.seal()
		for _, s := range o.segments {
			n += s.n
		}
	}
	if c.queue != 0 {
		n += o.queues.of(c).bytes
	}
	return n
}

// Add appends a piece. Bytes that are not borrowed are copied, so that they share a segment with their neighbours.
func (o *Output) Add(p Piece) {
	switch {
	case p.file.open():
		o.seal()
		o.hasFile = true
		o.segments = append(o.segments, segment{n: p.file.n, file: p.file})
	case p.Token != 0:
		o.seal()
		o.segments = append(o.segments, segment{at: handoff.Pointer(p.Bytes), n: len(p.Bytes), token: p.Token})
	default:
		o.B = append(o.B, p.Bytes...)
	}
}

// ReleasePiece releases the borrowed bytes or the file of a piece.
func (o *Output) ReleasePiece(p Piece) {
	if p.Token != 0 {
		o.loop.Inbox.Release(p.Token)
	}
	o.closeFile(p.file)
}

func (o *Output) seal() {
	if n := len(o.B) - o.sealed; n > 0 {
		o.segments = append(o.segments, segment{at: uintptr(o.sealed), n: n})
		o.sealed = len(o.B)
	}
}

func (o *Output) reset() {
	o.conn, o.sealed, o.segments, o.hasFile = nil, 0, o.segments[:0], false
	o.B = o.memory[:0]
}

// open maps memory; if that fails, each turn allocates from Go's heap.
func (o *Output) open() {
	o.memory, _ = pool.Map(limits.GatherBytes)
	o.B = o.memory[:0]
}

func (o *Output) close() {
	o.queues.close()
	if o.memory != nil {
		pool.Unmap(o.memory)
	}
}

func (o *Output) pointer(s segment) unsafe.Pointer {
	if s.token == 0 {
		return unsafe.Pointer(&o.B[s.at])
	}
	return unsafe.Pointer(unsafe.SliceData(handoff.Bytes(s.at, uint64(s.n))))
}

// FlushOf flushes the gathered output if it belongs to c.
func (o *Output) FlushOf(c *Conn) {
	if o.conn == c {
		o.Flush()
	}
}

// Flush writes the gathered output and queues what the socket does not accept. It does no other work: a connection that cannot be
// written to is only marked.
func (o *Output) Flush() {
	c := o.conn
	if c == nil {
		return
	}
	l := o.loop
	outer := l.working
	l.WorkFor(c)
	o.seal()
	done, failed := 0, false
	hasFile := o.hasFile
	if c.queue == 0 && c.writable && !hasFile {
		if c.tls == 0 {
			done, failed = o.writeGathered(c)
		} else {
			done, failed = l.secure.writeGathered(c)
		}
	}
	l.Fault("write")
	kept := o.queueRest(c, done)
	o.reset()
	switch {
	case failed:
		l.Mark(c, PeerClosed)
	case !kept:
		l.Mark(c, NoMemory)
	case hasFile:
		o.writeQueue(c)
	}
	l.WorkFor(outer)
}

// writeGathered sends as many segments as the socket accepts and returns the number of bytes sent.
func (o *Output) writeGathered(c *Conn) (done int, failed bool) {
	if len(o.segments) == 1 && o.segments[0].token == 0 {
		n, errno := sock.Write(int(c.fd), o.B)
		return o.took(c, len(o.B), n, errno)
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
		n, errno := o.iov.Write(int(c.fd), false)
		n, failed := o.took(c, total, n, errno)
		done += n
		if failed || n < total {
			return done, failed
		}
	}
	return done, false
}

// took evaluates one write of total bytes, and records whether the socket is full.
func (o *Output) took(c *Conn, total, n int, errno unix.Errno) (done int, failed bool) {
	if errno != sock.OK {
		n = 0
	}
	o.sent += uint64(n)
	if n < total {
		c.writable = false
	}
	return n, errno != sock.OK && errno != unix.EAGAIN
}

// queueRest releases fully written borrowed segments and queues what is left after done bytes. If memory runs out, it queues no more
// and returns false.
func (o *Output) queueRest(c *Conn, done int) (kept bool) {
	kept = true
	for i, s := range o.segments {
		o.segments[i] = segment{} // so that Recover does not release it again
		sent := min(done, s.n)
		done -= sent
		lent := s.token != 0 || s.file.open()
		switch {
		case sent == s.n || lent && !kept:
			o.ReleasePiece(Piece{Token: s.token, file: s.file})
		case lent:
			kept = o.enqueue(c, queued{ptr: s.at, off: sent, n: s.n, token: s.token, file: s.file})
		case kept:
			kept = o.enqueueCopy(c, o.B[int(s.at)+sent:int(s.at)+s.n])
		}
	}
	return kept
}

// drop discards the gathered and queued output of a connection.
func (o *Output) drop(c *Conn) {
	o.dropQueue(c)
	if o.conn != c {
		return
	}
	o.seal()
	for _, s := range o.segments {
		o.ReleasePiece(Piece{Token: s.token, file: s.file})
	}
	o.reset()
}
