//go:build full

// Input of connections with a session: records are opened where their plain bytes go.

package transport

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/tlsrecord"
)

// read returns plain bytes. What was read from the socket and not returned keeps the connection readable.
func (t *layer) read(c *Conn, b []byte) (n int, ok bool) {
	s := t.of(c)
	for !c.Ends() {
		if s.plain > 0 {
			n = copy(b, s.kept.Bytes()[s.at:s.at+s.plain])
			s.at += uint32(n)
			s.plain -= uint32(n)
			if s.plain+s.sealed == 0 {
				t.keep(c, s, nil, nil)
			}
			t.stayReadable(c, s)
			return n, true
		}
		if s.closed {
			t.loop.Mark(c, PeerClosed)
			return 0, false
		}
		n, more := t.openRecords(c, s, b)
		t.stayReadable(c, s)
		if n > 0 || !more {
			return n, n > 0
		}
	}
	return 0, false
}

// stayReadable: input that is kept will not be reported by epoll.
func (t *layer) stayReadable(c *Conn, s *secured) {
	if s.plain > 0 || s.closed || s.hasRecord() {
		c.readable = true
	}
}

// hasRecord tells whether a whole record is kept.
func (s *secured) hasRecord() bool {
	n, failure := tlsrecord.Whole(s.keptSealed())
	return n > 0 || failure != nil
}

func (s *secured) keptSealed() []byte {
	if s.sealed == 0 {
		return nil
	}
	return s.kept.Bytes()[s.at+s.plain:][:s.sealed]
}

// openRecords opens the records that are kept, or else reads. n bytes of b are filled; more tells whether another try may give some.
func (t *layer) openRecords(c *Conn, s *secured, b []byte) (n int, more bool) {
	buf := b
	if len(b) < limits.OpenBytes {
		buf = mappedRoom(&t.opened, limits.OpenBytes)
	}
	held, isKept := copy(buf, s.keptSealed()), s.hasRecord()
	if !isKept { // then what is kept is less than a record, and fits
		got, ok := t.loop.Input.readSocket(c, buf[held:])
		if !ok {
			return 0, false
		}
		held += got
	}
	plain, used, failure := s.Open(t.keysOf(s), buf[:held], len(b))
	if failure != nil && failure != tlsrecord.Closed {
		t.fail(c, s, failure)
		return 0, false
	}
	n = plain
	if len(b) < limits.OpenBytes {
		n = copy(b, buf[:plain])
	}
	if s.closed = failure != nil; s.closed {
		held = used
	}
	if isKept {
		t.advance(c, s, used, buf[n:plain])
		return n, true
	}
	return n, t.keep(c, s, buf[n:plain], buf[used:held]) || n > 0
}

// advance removes used octets of records from the front of what is kept, and puts plain bytes in their place, which are fewer.
func (t *layer) advance(c *Conn, s *secured, used int, plain []byte) {
	s.at += uint32(used - len(plain))
	s.sealed -= uint32(used)
	s.plain = uint32(copy(s.kept.Bytes()[s.at:], plain))
	if s.closed {
		s.sealed = 0
	}
	if s.plain+s.sealed == 0 {
		t.keep(c, s, nil, nil)
	}
}

// keep keeps plain bytes and the beginning of records for later reads, in place of what was kept.
func (t *layer) keep(c *Conn, s *secured, plain, sealed []byte) (kept bool) {
	n := len(plain) + len(sealed)
	if n == 0 || s.kept.None() || len(s.kept.Bytes()) < n {
		if !s.kept.None() {
			t.loop.Input.Return(s.kept)
		}
		s.kept, s.at, s.plain, s.sealed = pool.Buffer{}, 0, 0, 0
		if n == 0 {
			return true
		}
		var err error
		if s.kept, err = t.loop.Input.Borrow(n); err != nil {
			t.loop.Mark(c, NoMemory)
			return false
		}
	}
	s.at, s.plain, s.sealed = 0, uint32(len(plain)), uint32(len(sealed))
	copy(s.kept.Bytes()[copy(s.kept.Bytes(), plain):], sealed)
	return true
}

func (t *layer) holdsInput(c *Conn) bool { return t.of(c).plain > 0 }

// fail ends a connection whose peer broke the protocol, with the alert that says why.
func (t *layer) fail(c *Conn, s *secured, failure *tlsrecord.Failure) {
	if t.loop.Journal.Debugs() {
		t.loop.Journal.Debug(c.Peer() + ": " + failure.Why)
	}
	if failure == tlsrecord.Alerted {
		t.loop.Mark(c, PeerClosed)
		return
	}
	t.sendAlert(c, s, failure)
	t.loop.Mark(c, BadRecord)
}
