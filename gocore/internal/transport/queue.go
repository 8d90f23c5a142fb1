// Unsent output: what the socket of a slow peer did not take, and how it goes on.

package transport

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

// queue is the unsent output of one connection whose peer is slow. It lies outside Go's heap, as do its segments and their bytes,
// so a burst of slow peers leaves no garbage.
type queue struct {
	first, last uint32 // number + 1 of segments
	files       uint32 // among the segments
	bytes       int    // unsent
}

// queued is a segment that outlives its turn: of a file, borrowed, or own.
type queued struct {
	own    pool.Buffer
	ptr    uintptr // of what is borrowed
	off, n int     // sent, in all
	token  uint64
	file   file
	next   uint32 // number + 1
}

// Proof that records stay within their price.
const (
	_ = uint(limits.QueueBytes - unsafe.Sizeof(queue{}))
	_ = uint(limits.SegmentBytes - unsafe.Sizeof(queued{}))
)

// queues are all of them; a connection knows its own by number.
type queues struct {
	all      pool.Slab[queue]
	segments pool.Slab[queued]
	buffers  pool.Buffers
	bytes    int
}

func (q *queues) of(c *Conn) *queue { return q.all.At(c.queue - 1) }

// unsent is what of the output waits: its bytes, and what files count besides.
func (q *queues) unsent(c *Conn) int {
	if c.queue == 0 {
		return 0
	}
	one := q.of(c)
	return one.bytes + int(one.files)*limits.FileCostBytes
}

func (q *queues) front(c *Conn) *queued { return q.segments.At(q.of(c).first - 1) }

// append adds a segment behind the others; the first one opens the queue.
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

// fill copies what fits of b behind the last segment if that is own, and returns what is left, and how large a buffer it needs:
// twice that one, so that many small pieces lie in few buffers.
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

// copy adds b in buffers.
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

// shift takes the segment at the front out; the last one closes the queue. What it holds is the caller's.
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

// enqueue takes over what a segment holds. kept is false, and it is given back, when there is no memory for it.
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

// startWriting: the peer's time to take unsent output counts from the first of it.
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

// writeQueue goes on with unsent output, as far as the socket has room; of files, as far as one step goes.
func (o *Output) writeQueue(c *Conn) {
	for budget := limits.FileStepBytes; c.queue != 0 && c.writable && !c.ending.atOnce(); {
		n, failed := 0, false
		if s := o.queues.front(c); s.file.open() {
			if budget <= 0 {
				o.loop.PutOff(c)
				return
			}
			n, failed = o.writeFile(c, s, min(budget, s.n-s.off))
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
	return c.took(total, n, errno)
}

// dequeue takes n sent bytes off the queue.
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
	o.GiveBack(Piece{Token: s.token, file: s.file})
}

// dropQueue gives unsent output up.
func (o *Output) dropQueue(c *Conn) {
	for c.queue != 0 {
		s := o.queues.shift(c)
		o.freeSegment(&s)
	}
}

// Queues is how many connections have unsent output.
func (o *Output) Queues() int { return o.queues.all.Live() }

// Files is how many files wait to be sent.
func (o *Output) Files() int { return o.files }

// AllUnsent is the bytes queued for slow peers.
func (o *Output) AllUnsent() int { return o.queues.bytes }
