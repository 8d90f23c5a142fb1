// The one way out.  per connection

package conn

import (
	"sync/atomic"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/websocket"
)

// finish ends a connection after its last answer. A peer that may still be sending would answer a plain close with a
// reset and lose the answer, so it is given time (RFC 9112 9.6).
func (h *Host) finish(c *Conn) {
	if c.gone || !c.linger && c.held == 0 && !h.sends(c) {
		h.mark(c, answered)
		return
	}
	h.dropStream(c)
	h.unpark(c)
	sock.Finish(int(c.fd))
	h.enter(c, Linger)
	h.arm(c)
}

// sends tells whether the peer has sent more than was read. That the last read emptied the socket is not always known, as
// when it took the end of a body and not a byte more.
func (h *Host) sends(c *Conn) bool {
	scratch := h.inbox.Free()
	if !c.readable || len(scratch) == 0 {
		return c.readable
	}
	n, errno := sock.Read(int(c.fd), scratch[:min(len(scratch), limits.ReadFloorBytes)])
	return errno == sock.OK && n > 0
}

// mark notes that the connection is to be closed, and why; the first reason counts. Whoever finds one out does no more than
// that, however deep in the work for this connection or another: settle acts on it.
func (h *Host) mark(c *Conn, why ending) {
	if c.ending == stays {
		c.ending = why
		h.putReady(c)
	}
}

// settle closes a connection that is marked.
func (h *Host) settle(c *Conn) {
	if c.ending == stays || c.phase == Closed {
		return
	}
	if c.ending == answered {
		h.flushOf(c)
	} else if c.ending != fileCut && h.Config.Debug && c.phase != Idle && c.phase != Linger {
		h.log(handoff.LogDebug, c.peer()+": "+c.ending.String()+" while "+h.doing(c))
	}
	h.close(c)
}

// putReady has the turn look at the connection again before it waits.
func (h *Host) putReady(c *Conn) {
	if !c.isReady {
		c.isReady = true
		h.ready.Append(c.number)
	}
}

// WorkOff writes out what is gathered and goes on with each connection that is ready, until none is.
func (h *Host) WorkOff() {
	for h.Flush(); h.taken < h.ready.Len(); h.Flush() {
		c := h.conns.At(h.ready.Items()[h.taken])
		h.taken++
		if c.isReady && c.phase != Closed {
			c.isReady = false
			h.WorkFor(c)
			h.drive(c)
		}
	}
	h.ready.Drop(h.taken)
	h.taken = 0
}

// close gives everything back that the connection holds.
func (h *Host) close(c *Conn) {
	if c.phase == Closed {
		return
	}
	h.dropStream(c)
	h.unpark(c)
	h.dropQueue(c)
	if h.out.conn == c {
		h.out.seal()
		h.dropGathered()
	}
	h.wheel.Remove(c.number, &c.node)
	if c.reset {
		sock.Reset(int(c.fd))
	}
	if h.forked() {
		sock.End(int(c.fd))
	}
	sock.Close(int(c.fd))
	h.enter(c, Closed)
	c.waiting, c.isReady = false, false
	h.conns.Free(c.number)
}

// forked: a child of the app may have a copy of a descriptor, and with it would keep the connection open.
func (h *Host) forked() bool {
	return h.Config.Forked != nil && atomic.LoadUint32(h.Config.Forked) != 0
}

func (h *Host) dropGathered() {
	for _, s := range h.out.segments {
		h.giveBack(piece{token: s.token, file: s.file})
	}
	h.out.reset()
}

// dropStream ends the request in the app's hands, if there is one, and tells C unless the app has said its last word.
func (h *Host) dropStream(c *Conn) {
	if c.stream == 0 {
		return
	}
	number := c.stream - 1
	s := h.streams.At(number)
	if !s.complete {
		h.inbox.Add(handoff.Event{Kind: handoff.EventDisconnect, Stream: s.handle(number)})
	}
	h.dropSocket(s)
	*s = Stream{}
	h.streams.Free(number)
	c.stream = 0
}

// Drain lets every answer be the last one of its connection and closes those that have none to wait for, the ones lately
// in use a little later. What already arrived is answered first.
func (h *Host) Drain() {
	h.WorkOff()
	h.draining = true
	h.sweep(func(c *Conn) {
		h.WorkFor(c)
		h.fault("drain")
		c.readable = true // what epoll has not reported yet counts too
		h.drive(c)
		h.retire(c)
		h.settle(c)
	})
}

// unused: nothing of a request has come.
func (c *Conn) unused() bool { return c.phase == Idle || c.phase == Head && c.held == 0 }

// retire closes a connection of a draining server that has nothing to wait for. One that this turn had no room for is looked
// at again in the next.
func (h *Host) retire(c *Conn) {
	switch {
	case c.waiting, c.phase == Closed:
	case c.unused():
		if h.now-c.since >= drainTicks {
			h.mark(c, answered)
		} else {
			h.arm(c)
		}
	case c.phase != Busy:
	case h.streamOf(c).stage == Discard:
		h.finishAnswered(c)
	case h.streamOf(c).stage == Open:
		h.farewell(c, websocket.ServiceRestart, nil)
	}
}

// Abandon ends every connection at once.
func (h *Host) Abandon() {
	h.sweep(func(c *Conn) {
		h.WorkFor(c)
		h.fault("abandon")
		h.close(c)
	})
}

// Close frees what connections share; there are none any more.
func (h *Host) Close() {
	if h.reserve >= 0 {
		sock.Close(h.reserve)
	}
	h.conns.Close()
	h.streams.Close()
	h.sockets.Close()
	h.buffers.Close()
	h.queues.close()
	h.packs.buffers.Close()
	for _, list := range [...]*pool.List[uint32]{&h.ready, &h.later, &h.retry, &h.due, &h.packs.free} {
		list.Close()
	}
	h.out.close()
}

func (h *Host) sweep(do func(c *Conn)) {
	for i := range h.conns.Len() {
		if c := h.conns.At(i); c.phase != Closed {
			do(c)
		}
	}
}
