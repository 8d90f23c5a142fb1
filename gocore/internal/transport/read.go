// Input: read straight into the arena of the turn, so that complete data is passed on without a copy.

package transport

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
)

// Input reads sockets, and owns the buffers of parked bytes.
type Input struct {
	loop    *Loop
	buffers pool.Buffers
	came    uint64 // bytes read from peers
}

// Read reads into b. ok is false if there is nothing to read yet, or if the peer has gone. Nothing else reads sockets, except sends.
func (in *Input) Read(c *Conn, b []byte) (n int, ok bool) {
	if !c.readable {
		return 0, false
	}
	n, errno := sock.Read(int(c.fd), b)
	switch {
	case errno == unix.EAGAIN:
		c.readable = false
		return 0, false
	case errno != sock.OK:
		in.loop.Mark(c, PeerReset)
		return 0, false
	case n == 0:
		in.loop.Mark(c, PeerClosed)
		return 0, false
	case n < len(b) && !c.hangup: // a short read has emptied the socket (epoll(7))
		c.readable = false
	}
	in.came += uint64(n)
	return n, true
}

// Take returns the parked bytes followed by new input, in the arena. fresh tells whether anything was read. ok is false if nothing is
// new or this turn has no room.
func (in *Input) Take(c *Conn) (buf []byte, fresh, ok bool) {
	held := int(c.held)
	size := min(len(in.loop.Inbox.Free())-in.loop.Inbox.View(), held+limits.ReadBytes)
	if size < held+limits.ReadFloorBytes || !in.loop.Inbox.HasRoom() {
		in.loop.PutOff(c)
		return nil, false, false
	}
	buf = in.loop.Inbox.Free()[:size]
	if held > 0 {
		copy(buf, c.parked.Bytes()[:held])
	}
	if fresh = int(c.Scanned) == held; fresh { // all parked bytes were searched already
		n, ok := in.Read(c, buf[held:])
		if !ok {
			return nil, false, false
		}
		held += n
	}
	return buf[:held:held], fresh, true
}

// Park keeps b for later turns, replacing what was parked.
func (in *Input) Park(c *Conn, b []byte) bool {
	if len(b) == 0 {
		in.Unpark(c)
		return true
	}
	if c.parked.None() || len(c.parked.Bytes()) < len(b) {
		buffer, err := in.buffers.Get(len(b))
		if err != nil {
			in.loop.Mark(c, NoMemory)
			return false
		}
		in.Unpark(c)
		c.parked = buffer
	}
	c.held, c.Scanned = uint32(copy(c.parked.Bytes(), b)), 0
	return true
}

// ParkBeginning parks b and marks it as incomplete: it is not parsed again until more arrives.
func (in *Input) ParkBeginning(c *Conn, b []byte) bool {
	if !in.Park(c, b) {
		return false
	}
	c.Scanned = c.held
	return true
}

// Unpark releases the buffer of parked bytes.
func (in *Input) Unpark(c *Conn) {
	if !c.parked.None() {
		in.buffers.Put(c.parked)
		c.parked = pool.Buffer{}
	}
	c.held, c.Scanned = 0, 0
}

// Borrow returns a small buffer that outlives the turn; the caller releases it with Return.
func (in *Input) Borrow(n int) (pool.Buffer, error) { return in.buffers.Get(n) }

// Return releases a buffer from Borrow.
func (in *Input) Return(b pool.Buffer) { in.buffers.Put(b) }

// discardAll reads and discards what a peer sends after its last response.
func (in *Input) discardAll(c *Conn) {
	for !c.Ends() {
		size := min(len(in.loop.Inbox.Free()), limits.ReadBytes)
		if size < limits.ReadFloorBytes {
			in.loop.PutOff(c)
			return
		}
		n, ok := in.Read(c, in.loop.Inbox.Free()[:size])
		if !ok {
			return
		}
		if c.Scanned += uint32(n); c.Scanned > limits.LingerBytes {
			in.loop.Mark(c, Responded)
		}
	}
}

// sends tells whether the peer has sent more than was read. The last read does not always show that the socket is empty: it may have
// ended exactly at the end of a body.
func (in *Input) sends(c *Conn) bool {
	scratch := in.loop.Inbox.Free()
	if !c.readable || len(scratch) == 0 {
		return c.readable
	}
	n, errno := sock.Read(int(c.fd), scratch[:min(len(scratch), limits.ReadFloorBytes)])
	return errno == sock.OK && n > 0
}
