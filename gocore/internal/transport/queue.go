// Unsent output: what the socket of a slow peer did not accept, and how it is sent later.

package transport

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

// queue is the unsent output of one connection. Queues, their segments and their bytes lie outside Go's heap, so a burst of slow
// peers leaves no garbage.
type queue struct {
	first, last uint32 // number + 1 of segments; 0: none
	files       uint32 // how many segments are files
	bytes       int    // of unsent output
}

// queued is a segment that outlives its turn: of a file, borrowed, or in a buffer of its own.
type queued struct {
	own    pool.Buffer
	ptr    uintptr // of borrowed bytes
	off, n int     // bytes sent, bytes in all
	token  uint64
	file   file
	next   uint32 // number + 1; 0: last
}

// Compile-time checks of the records' sizes.
const (
	_ = uint(limits.QueueBytes - unsafe.Sizeof(queue{}))
	_ = uint(limits.SegmentBytes - unsafe.Sizeof(queued{}))
)

// queues are the queues of all connections; a connection holds the number of its queue.
type queues struct {
	all      pool.Slab[queue]
	segments pool.Slab[queued]
	buffers  pool.Buffers
	bytes    int
}

func (q *queues) of(c *Conn) *queue { return q.all.At(c.queue - 1) }

// unsent is the size of the unsent output: its bytes, and FileCostBytes for each file.
func (q *queues) unsent(c *Conn) int {
	if c.queue == 0 {
		return 0
	}
	one := q.of(c)
	return one.bytes + int(one.files)*limits.FileCostBytes
}

func (q *queues) front(c *Conn) *queued { return q.segments.At(q.of(c).first - 1) }

// append adds a segment at the end; the first segment creates the queue.
func (q *queues) append(c *Conn, s queued) error {
	number, at, err := q.segments.Alloc()
	if err != nil {
		return err
	}
	if c.queue == 0 {
		n, _, err := q.all.Alloc()
		if err != nil {
			q.segments.Free(number)
			return err
		}
		c.queue = n + 1
	}
	*at = s
	one := q.of(c)
	if one.last == 0 {
		one.first = number + 1
	} else {
		q.segments.At(one.last - 1).next = number + 1
	}
	one.last = number + 1
	if s.file.open() {
		one.files++
	}
	q.grow(one, s.n-s.off)
	return nil
}

func (q *queues) grow(one *queue, n int) {
	one.bytes += n
	q.bytes += n
}

// fill copies as much of b as fits behind the last segment, if that has its own buffer. It returns what is left and the size of the
// buffer it needs: at least twice the last one, so that many small pieces need few buffers.
func (q *queues) fill(c *Conn, b []byte) (left []byte, need int) {
	if c.queue == 0 {
		return b, len(b)
	}
	one := q.of(c)
	s := q.segments.At(one.last - 1)
	if s.own.None() {
		return b, len(b)
	}
	room := s.own.Bytes()
	n := copy(room[s.n:], b)
	s.n += n
	q.grow(one, n)
	return b[n:], max(len(b)-n, 2*len(room))
}

// copy appends b in buffers.
func (q *queues) copy(c *Conn, b []byte) error {
	for {
		var need int
		if b, need = q.fill(c, b); len(b) == 0 {
			return nil
		}
		own, err := q.buffers.Get(min(need, limits.UnsentBytes))
		if err != nil {
			return err
		}
		if err = q.append(c, queued{own: own}); err != nil {
			q.buffers.Put(own)
			return err
		}
	}
}

// shift removes the first segment; removing the last one frees the queue. The caller owns what the segment holds.
func (q *queues) shift(c *Conn) (s queued) {
	one := q.of(c)
	number := one.first - 1
	s = *q.segments.At(number)
	q.segments.Free(number)
	one.first = s.next
	if s.file.open() {
		one.files--
	}
	q.grow(one, s.off-s.n)
	if one.first == 0 {
		q.all.Free(c.queue - 1)
		c.queue = 0
	}
	return s
}

func (q *queues) release(most int) (released int) {
	released = q.all.Release() + q.segments.Release()
	return released + q.buffers.Release(most-released)
}

func (q *queues) close() {
	q.all.Close()
	q.segments.Close()
	q.buffers.Close()
}

// enqueue takes ownership of what a segment holds. Without memory it releases that and returns false.
func (o *Output) enqueue(c *Conn, s queued) (kept bool) {
	waited := c.queue != 0
	if err := o.queues.append(c, s); err != nil {
		o.freeSegment(&s)
		return false
	}
	o.startWriting(c, waited)
	return true
}

func (o *Output) enqueueCopy(c *Conn, b []byte) (kept bool) {
	waited := c.queue != 0
	if err := o.queues.copy(c, b); err != nil {
		return false
	}
	o.startWriting(c, waited)
	return true
}

// startWriting starts the write deadline when the first output becomes unsent.
func (o *Output) startWriting(c *Conn, waited bool) {
	if !waited {
		c.wrote = o.loop.Clock.Now
	}
	o.loop.Timers.Arm(c)
}

func (s *queued) pointer() unsafe.Pointer {
	if !s.own.None() {
		return unsafe.Pointer(&s.own.Bytes()[s.off])
	}
	return unsafe.Pointer(unsafe.SliceData(handoff.Bytes(s.ptr+uintptr(s.off), 1)))
}

// writeQueue sends unsent output until the socket is full, but at most FileStepBytes of files, or over TLS of anything.
func (o *Output) writeQueue(c *Conn) {
	for budget := limits.FileStepBytes; c.queue != 0 && c.writable && !c.ending.atOnce(); {
		n, failed := 0, false
		if s := o.queues.front(c); c.tls != 0 || s.file.open() {
			if budget <= 0 {
				o.loop.PutOff(c)
				return
			}
			if c.tls != 0 {
				n, failed = o.loop.secure.writeQueued(c)
			} else {
				n, failed = o.writeFile(c, s, min(budget, s.n-s.off))
			}
			budget -= n
		} else {
			n, failed = o.writeQueued(c)
		}
		if failed {
			o.loop.Mark(c, PeerClosed)
			return
		}
		if n > 0 {
			c.wrote = o.loop.Clock.Now
			o.dequeue(c, n)
		}
	}
}

// writeQueued sends the bytes at the front of the queue, up to a file.
func (o *Output) writeQueued(c *Conn) (n int, failed bool) {
	total, more := 0, false
	for number := o.queues.of(c).first; number != 0; {
		s := o.queues.segments.At(number - 1)
		if more = s.file.open(); more {
			break
		}
		total += s.n - s.off
		if !o.iov.Add(s.pointer(), s.n-s.off) {
			break
		}
		number = s.next
	}
	n, errno := o.iov.Write(int(c.fd), more)
	return o.took(c, total, n, errno)
}

// dequeue removes n sent bytes from the queue.
func (o *Output) dequeue(c *Conn, n int) {
	for n > 0 {
		s := o.queues.front(c)
		took := min(n, s.n-s.off)
		n -= took
		s.off += took
		o.queues.grow(o.queues.of(c), -took)
		if s.off == s.n {
			sent := o.queues.shift(c)
			o.freeSegment(&sent)
		}
	}
}

func (o *Output) freeSegment(s *queued) {
	if !s.own.None() {
		o.queues.buffers.Put(s.own)
	}
	o.ReleasePiece(Piece{Token: s.token, file: s.file})
}

// dropQueue discards unsent output.
func (o *Output) dropQueue(c *Conn) {
	for c.queue != 0 {
		s := o.queues.shift(c)
		o.freeSegment(&s)
	}
}

// Queues is the number of connections with unsent output.
func (o *Output) Queues() int { return o.queues.all.Live() }

// Files is the number of files waiting to be sent.
func (o *Output) Files() int { return o.files }

// AllUnsent is the number of bytes queued for slow peers.
func (o *Output) AllUnsent() int { return o.queues.bytes }
