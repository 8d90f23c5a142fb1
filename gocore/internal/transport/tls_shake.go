//go:build full

// Handshakes: the bytes of a connection are passed to the goroutine of its handshake, until it has a session.

package transport

import (
	"container/list"
	"fmt"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/tlsrecord"
	"saltare/gocore/internal/tlsshake"
)

// handshake is one in progress.
type handshake struct {
	*tlsshake.Shake
	conn  uint32
	since uint32        // tick at which it began to wait for its peer
	waits *list.Element // of the list of those that wait; nil: it does not
}

// shake continues a handshake as far as its input, its goroutine and the socket allow.
func (t *layer) shake(c *Conn) {
	one := t.handshakes.running[c.number]
	if one == nil {
		t.beginHandshake(c)
		return
	}
	out, waits, done := one.Step(t.handshakes.out[:0])
	t.handshakes.out = out
	if len(out) > 0 {
		t.loop.Output.Gather(c)
		t.loop.Output.B = append(t.loop.Output.B, out...)
	}
	switch {
	case done:
		t.endHandshake(c, one)
	case waits:
		t.handshakes.wait(one, t.loop.Clock.Now)
		t.feed(c, one)
	}
}

// beginHandshake starts the goroutine once the first record is complete, so that a slow peer costs no more than without TLS.
func (t *layer) beginHandshake(c *Conn) {
	for {
		buf, _, ok := t.loop.Input.Take(c)
		switch {
		case !ok:
			return
		case !tlsrecord.StartsHandshake(buf):
			t.refuseNoTLS(c, buf)
			return
		}
		n, failure := tlsrecord.Whole(buf)
		switch {
		case failure != nil:
			t.failed(c, failure.Why)
			t.loop.Mark(c, Responded)
			return
		case n == 0:
			if !t.loop.Input.ParkBeginning(c, buf) {
				return
			}
		default:
			if t.loop.Input.Park(c, buf) {
				t.startHandshake(c)
			}
			return
		}
	}
}

func (t *layer) startHandshake(c *Conn) {
	if len(t.handshakes.running) >= limits.MostHandshakes {
		t.queueHandshake(c)
		return
	}
	t.runHandshake(c)
}

func (t *layer) runHandshake(c *Conn) {
	h := &t.handshakes
	one := &handshake{conn: c.number}
	h.running[c.number] = one
	one.Shake = tlsshake.Start(t.config, func(*tlsshake.Shake) { h.wake(one) })
}

// feed passes the next record to the handshake.
func (t *layer) feed(c *Conn, one *handshake) {
	for {
		buf, _, ok := t.loop.Input.Take(c)
		if !ok {
			return
		}
		n, failure := tlsrecord.Whole(buf)
		switch {
		case failure != nil:
			t.failed(c, failure.Why)
			t.loop.Mark(c, Responded)
			return
		case n > 0:
			t.handshakes.resume(one)
			one.Feed(buf[:n])
			t.loop.Input.Park(c, buf[n:])
			return
		}
		if !t.loop.Input.ParkBeginning(c, buf) {
			return
		}
	}
}

// endHandshake waits until the last message has left, because after it all output is sealed.
func (t *layer) endHandshake(c *Conn, one *handshake) {
	t.loop.Output.FlushOf(c)
	if c.Ends() || !t.loop.Output.Sent(c) {
		return
	}
	t.ended(one)
	r := one.Result()
	if r.Failure != "" {
		t.failed(c, r.Failure)
		c.Linger = true // a close would reset the connection, and the alert would be lost
		t.loop.Finish(c)
		return
	}
	t.secure(c, r)
}

// secure gives the connection its session. What was read behind the handshake is the beginning of its input.
func (t *layer) secure(c *Conn, r *tlsshake.Result) {
	// In TLS 1.3 nothing is sent after the client's last message. A client with Nagle's algorithm sends its request once that message is
	// acknowledged, which would take 40 ms.
	sock.AckNow(int(c.fd))
	number, s, err := t.sessions.Alloc()
	if err != nil {
		t.loop.Mark(c, NoMemory)
		return
	}
	s.Session = r.Session
	s.Owner = c.serial
	s.who = t.who.add(r.Identity)
	c.tls = number + 1
	if s.sealed = c.held; s.sealed > 0 {
		s.kept, c.parked, c.held = c.parked, pool.Buffer{}, 0
	}
	t.loop.Input.Unpark(c)
	since := c.Since // header_timeout counts from the accept
	t.loop.Enter(c, Head)
	c.Since = since
	t.loop.Timers.Arm(c)
	t.stayReadable(c, s)
}

// wake is called by goroutines: the loop is to continue a handshake.
func (h *handshakes) wake(one *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, one)
	h.ring()
}

// log is called by goroutines.
func (h *handshakes) log(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
	h.ring()
}

func (h *handshakes) ring() {
	if !h.rung && !h.ended {
		h.rung = true
		one := [8]byte{1}
		_, _ = unix.Write(h.bell, one[:])
	}
}

// listen takes what goroutines have reported.
func (h *handshakes) listen() (lines []string) {
	var count [8]byte
	_, _ = unix.Read(h.bell, count[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken, h.heard = append(h.taken, h.heard...), h.heard[:0]
	lines, h.lines, h.rung = h.lines, nil, false
	return lines
}

// news continues the handshakes that have got on, one after the other; a panic in one leaves the others to the next call.
func (t *layer) news() {
	h := &t.handshakes
	for _, line := range h.listen() {
		t.loop.Journal.Error(line)
	}
	for len(h.taken) > 0 {
		one := h.taken[0]
		h.taken = h.taken[1:]
		if h.running[one.conn] == one {
			c := t.loop.conns.At(one.conn)
			t.loop.WorkFor(c)
			t.loop.drive(c)
		}
	}
	h.taken = nil
}

// plainHTTP is the response to a request that is not sealed.
const plainHTTP = "This port speaks HTTPS: write https:// in place of http:// in the address.\n"

// refuseNoTLS ends a connection whose peer does not speak TLS; one that speaks HTTP is told so.
func (t *layer) refuseNoTLS(c *Conn, buf []byte) {
	if first := buf[0]; first < 'A' || first > 'Z' {
		t.failed(c, "the first bytes are not TLS")
		t.loop.Mark(c, Responded)
		return
	}
	t.failed(c, "the client speaks plain HTTP")
	o := &t.loop.Output
	o.Gather(c)
	o.B = fmt.Appendf(o.B, "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s",
		len(plainHTTP), plainHTTP)
	o.FlushOf(c)
	c.Linger = true
	t.loop.Finish(c)
}

// failed counts a failed handshake, and logs it unless another was logged a moment ago.
func (t *layer) failed(c *Conn, why string) {
	h, now := &t.handshakes, t.loop.Clock.Now
	t.loop.Counts.BadHandshakes++
	if h.logAt != 0 && now+1-h.logAt < logTicks {
		h.unseen++
		return
	}
	line := "the TLS handshake with " + c.Peer() + " failed: " + why
	if h.unseen > 0 {
		line += fmt.Sprintf(" (and %d more since the last such line)", h.unseen)
	}
	if t.loop.Journal.Warning(line) {
		h.logAt, h.unseen = now+1, 0
	}
}

var logTicks = limits.Ticks(limits.HandshakeLogInterval)
