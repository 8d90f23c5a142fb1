// Bytes in: straight into the arena of the turn, so that what is complete is handed on where it lies.

package transport

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// Read reads into b. ok is false when there is nothing: for now, or because the peer has gone. Nothing else reads a socket, but for
// the look whether a peer still sends.
func (l *Loop) Read(c *Conn, b []byte) (n int, ok bool) {
	if !c.readable {
		return 0, false
	}
	n, errno := sock.Read(int(c.fd), b)
	switch {
	case errno == unix.EAGAIN:
		c.readable = false
		return 0, false
	case errno != sock.OK:
		l.Mark(c, PeerReset)
		return 0, false
	case n == 0:
		l.Mark(c, PeerClosed)
		return 0, false
	case n < len(b) && !c.hangup: // a short read has emptied the socket (epoll(7))
		c.readable = false
	}
	l.came += uint64(n)
	return n, true
}

// Input is what is parked with what can be read behind it, in the arena. fresh: something was read. ok is false when there
// is nothing new, or no room for it in this turn.
func (l *Loop) Input(c *Conn) (buf []byte, fresh, ok bool) {
	held := int(c.held)
	size := min(len(l.Inbox.Free())-l.Inbox.View(), held+limits.ReadBytes)
	if size < held+limits.ReadFloorBytes || !l.Inbox.HasRoom() {
		l.PutOff(c)
		return nil, false, false
	}
	buf = l.Inbox.Free()[:size]
	if held > 0 {
		copy(buf, c.parked.Bytes()[:held])
	}
	if fresh = int(c.Scanned) == held; fresh { // nothing new among what is parked
		n, ok := l.Read(c, buf[held:])
		if !ok {
			return nil, false, false
		}
		held += n
	}
	return buf[:held:held], fresh, true
}

// Park keeps b for later turns, in place of what was parked.
func (l *Loop) Park(c *Conn, b []byte) bool {
	if len(b) == 0 {
		l.Unpark(c)
		return true
	}
	if c.parked.None() || len(c.parked.Bytes()) < len(b) {
		buffer, err := l.buffers.Get(len(b))
		if err != nil {
			l.Mark(c, NoMemory)
			return false
		}
		l.Unpark(c)
		c.parked = buffer
	}
	c.held, c.Scanned = uint32(copy(c.parked.Bytes(), b)), 0
	return true
}

// ParkBeginning does that with the beginning of something, of which nothing can be made until more comes.
func (l *Loop) ParkBeginning(c *Conn, b []byte) bool {
	if !l.Park(c, b) {
		return false
	}
	c.Scanned = c.held
	return true
}

// Unpark gives the buffer back.
func (l *Loop) Unpark(c *Conn) {
	if !c.parked.None() {
		l.buffers.Put(c.parked)
		c.parked = pool.Buffer{}
	}
	c.held, c.Scanned = 0, 0
}

// Borrow lends a small buffer that outlives the turn, from those for parked bytes; Return takes it back.
func (l *Loop) Borrow(n int) (pool.Buffer, error) { return l.buffers.Get(n) }

// Return takes back what Borrow lent.
func (l *Loop) Return(b pool.Buffer) { l.buffers.Put(b) }

// discardAll reads what a peer sends after its last response and throws it away.
func (l *Loop) discardAll(c *Conn) {
	for !c.Ends() {
		size := min(len(l.Inbox.Free()), limits.ReadBytes)
		if size < limits.ReadFloorBytes {
			l.PutOff(c)
			return
		}
		n, ok := l.Read(c, l.Inbox.Free()[:size])
		if !ok {
			return
		}
		if c.lingered += uint32(n); c.lingered > limits.LingerBytes {
			l.Mark(c, Answered)
		}
	}
}

// sends tells whether the peer has sent more than was read. That the last read emptied the socket is not always known, as
// when it took the end of a body and not a byte more.
func (l *Loop) sends(c *Conn) bool {
	scratch := l.Inbox.Free()
	if !c.readable || len(scratch) == 0 {
		return c.readable
	}
	n, errno := sock.Read(int(c.fd), scratch[:min(len(scratch), limits.ReadFloorBytes)])
	return errno == sock.OK && n > 0
}
