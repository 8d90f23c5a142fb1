//go:build full

// Output of connections with a session: sealed when it is sent, a step at a time, so that a large response is never sealed as a whole.

package transport

import (
	"unsafe"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/tlsrecord"
)

// step is the records of one step: n plain bytes become records in out.
type step struct {
	s    *secured
	keys *tlsrecord.Keys
	out  []byte // sealed
	held []byte // plain bytes that do not fill a record yet
	n    int
}

func (t *layer) begin(c *Conn) step {
	s := t.of(c)
	return step{s: s, keys: t.keysOf(s), out: mappedRoom(&t.sealed, sealedBytes)[:0], held: mappedRoom(&t.plain, tlsrecord.MaxPlainBytes)[:0]}
}

// sealedBytes is the room for the records of a step.
var sealedBytes = tlsrecord.SealedBytes(limits.SealBytes)

// left is how many more plain bytes the step takes.
func (p *step) left() int { return limits.SealBytes - p.n }

// add adds plain bytes. Small pieces share a record; what fills a record is sealed where it lies.
func (p *step) add(b []byte) {
	p.n += len(b)
	for len(b) > 0 {
		if len(p.held) == 0 && len(b) >= tlsrecord.MaxPlainBytes {
			p.out = p.s.AppendSealed(p.keys, p.out, b[:tlsrecord.MaxPlainBytes])
			b = b[tlsrecord.MaxPlainBytes:]
			continue
		}
		m := min(len(b), tlsrecord.MaxPlainBytes-len(p.held))
		p.held = append(p.held, b[:m]...)
		b = b[m:]
		if len(p.held) == tlsrecord.MaxPlainBytes {
			p.seal()
		}
	}
}

func (p *step) seal() {
	p.out = p.s.AppendSealed(p.keys, p.out, p.held)
	p.held = p.held[:0]
}

// send sends the records. n is the plain bytes that have left: all, or none while a part of the records is pending.
func (t *layer) send(c *Conn, p *step) (n int, failed bool) {
	if p.seal(); len(p.out) == 0 {
		return 0, false
	}
	wrote, errno := sock.Write(int(c.fd), p.out)
	wrote, failed = t.loop.Output.took(c, len(p.out), wrote, errno)
	switch {
	case failed:
		return 0, true
	case wrote == len(p.out):
		return p.n, false
	}
	return 0, !t.keepPending(c, p, p.out[wrote:])
}

// keepPending keeps the rest of the records; without memory for it the connection cannot continue.
func (t *layer) keepPending(c *Conn, p *step, rest []byte) (kept bool) {
	number, one, err := t.pendings.Alloc()
	if err != nil {
		return false
	}
	if one.buffer, err = t.loop.Output.queues.buffers.Get(len(rest)); err != nil {
		t.pendings.Free(number)
		return false
	}
	one.n, one.plain = copy(one.buffer.Bytes(), rest), p.n
	p.s.pending = number + 1
	return true
}

func (t *layer) dropPending(s *secured) {
	if s.pending == 0 {
		return
	}
	t.loop.Output.queues.buffers.Put(t.pendings.At(s.pending - 1).buffer)
	t.pendings.Free(s.pending - 1)
	s.pending = 0
}

// writeGathered sends gathered output, as long as the socket accepts all of a step.
func (t *layer) writeGathered(c *Conn) (done int, failed bool) {
	o := &t.loop.Output
	p := t.begin(c)
	for i := range o.segments {
		rest := unsafe.Slice((*byte)(o.pointer(o.segments[i])), o.segments[i].n)
		for len(rest) > 0 {
			m := min(len(rest), p.left())
			p.add(rest[:m])
			if rest = rest[m:]; p.left() > 0 {
				continue
			}
			n, failed := t.send(c, &p)
			if done += n; failed || n == 0 {
				return done, failed
			}
			p = t.begin(c)
		}
	}
	n, failed := t.send(c, &p)
	return done + n, failed
}

// writeQueued sends one step of the queue, after the records that are pending.
func (t *layer) writeQueued(c *Conn) (n int, failed bool) {
	if s := t.of(c); s.pending != 0 {
		return t.writePending(c, s)
	}
	o := &t.loop.Output
	p := t.begin(c)
	for number := o.queues.of(c).first; number != 0 && p.left() > 0; {
		s := o.queues.segments.At(number - 1)
		m := min(s.n-s.off, p.left())
		if !s.file.open() {
			p.add(unsafe.Slice((*byte)(s.pointer()), m))
		} else if !t.addFile(c, &p, s, m) {
			return 0, false
		}
		number = s.next
	}
	return t.send(c, &p)
}

func (t *layer) writePending(c *Conn, s *secured) (n int, failed bool) {
	one := t.pendings.At(s.pending - 1)
	wrote, errno := sock.Write(int(c.fd), one.buffer.Bytes()[one.off:one.n])
	wrote, failed = t.loop.Output.took(c, one.n-one.off, wrote, errno)
	if wrote > 0 {
		c.wrote = t.loop.Clock.Now // progress, although no plain bytes count as sent yet
	}
	if one.off += wrote; failed || one.off < one.n {
		return 0, failed
	}
	n = one.plain
	t.dropPending(s)
	return n, false
}

// addFile adds n bytes of a file, or cuts the response short.
func (t *layer) addFile(c *Conn, p *step, s *queued, n int) bool {
	for off := s.off; n > 0; {
		at := len(p.held)
		room := p.held[at : at+min(n, tlsrecord.MaxPlainBytes-at)]
		got, errno := sock.ReadFile(int(s.file.fd-1), room, s.file.at+int64(off))
		if !t.loop.Output.fileGoesOn(c, s, off, got, errno) {
			return false
		}
		p.held = p.held[:at+got]
		p.n += got
		off += got
		n -= got
		if len(p.held) == tlsrecord.MaxPlainBytes {
			p.seal()
		}
	}
	return true
}

// closeNotify says that no more output follows. If some is unsent, it does not: the peer must not take a part for the whole.
func (t *layer) closeNotify(c *Conn) {
	if c.queue == 0 {
		t.sendAlert(c, t.of(c), tlsrecord.Closed)
	}
}

// sendAlert sends an alert, if the socket takes it at once and no record is half sent.
func (t *layer) sendAlert(c *Conn, s *secured, of *tlsrecord.Failure) {
	if s.pending != 0 || !c.writable {
		return
	}
	var room [64]byte
	_, _ = sock.Write(int(c.fd), s.AppendAlert(t.keysOf(s), room[:0], of))
}
