//go:build full

// Handshakes that fail, stall or are many.

package server_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// TestTLSHandshakeFailures: each is counted; the log has the first one at once, and the number of the others later.
func TestTLSHandshakeFailures(t *testing.T) {
	d := openFrozen(t, withTLS(t, server.Config{}))
	old := func() *peer {
		return d.dial(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	}
	p := old()
	if err := <-p.err; err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Fatal(err)
	}
	want := "the TLS handshake with " + p.LocalAddr().String() + " failed: client offered only unsupported versions: [302 301]"
	if line := d.expect(handoff.EventLog); line.data != want || line.Flags != handoff.LogWarning {
		t.Fatalf("%q, want %q", line.data, want)
	}
	old()
	d.until("a failure", func() bool { return d.server.Stats().BadHandshakes == 2 })
	if d.count(handoff.EventLog) != 0 {
		t.Fatal("the second failure was logged too")
	}
	d.skip(limits.HandshakeLogInterval)
	old()
	if line := d.expect(handoff.EventLog); !strings.HasSuffix(line.data, " (and 1 more since the last such line)") {
		t.Fatal(line.data)
	}
}

// TestNoTLS: a peer that speaks plain HTTP is told so; another one is only closed.
func TestNoTLS(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	got := d.receive(d.send(simple), -1)
	if !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(got, "This port speaks HTTPS") {
		t.Fatalf("%q", got)
	}
	if line := d.expect(handoff.EventLog).data; !strings.HasSuffix(line, "failed: the client speaks plain HTTP") {
		t.Fatal(line)
	}
	for _, noise := range []string{"\x00", "\x80\x2e\x01\x00\x02", "\x16\x03\x01\xff\xff", "{}"} {
		if got := d.receive(d.send(noise), -1); got != "" {
			t.Fatalf("%q got %q", noise, got)
		}
	}
	d.until("the ends", func() bool { return d.server.Stats().Connections == 0 })
}

// TestTLSSilentPeers: a connection without a byte, as of a health check, is no failure.
func TestTLSSilentPeers(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	for range 3 {
		_ = d.client().Close()
	}
	d.until("the ends", func() bool { s := d.server.Stats(); return s.Accepted == 3 && s.Connections == 0 })
	if n := d.server.Stats().BadHandshakes; n != 0 {
		t.Fatal(n, "failures")
	}
}

// TestTLSHandshakeTimeout: a peer that stalls, before or in the handshake, is closed by header_timeout.
func TestTLSHandshakeTimeout(t *testing.T) {
	hello := clientHello(t)
	for name, part := range map[string][]byte{"silent": nil, "an octet": hello[:1], "half a record": hello[:len(hello)/2], "a message": hello} {
		t.Run(name, func(t *testing.T) {
			d := openFrozen(t, withTLS(t, server.Config{Conn: config.Config{HeaderTimeout: 100}}))
			c := d.client()
			d.write(c, string(part))
			answered := false
			d.until("the input", func() bool {
				if len(part) == len(hello) && !answered {
					_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
					n, _ := c.Read(make([]byte, 1))
					answered = n > 0
					return false
				}
				s := d.server.Stats()
				return s.Connections == 1 && (answered || len(part) == 0 || s.Buffers == 1)
			})
			d.skip(99 * limits.Tick)
			d.turn(0)
			if d.server.Stats().Connections != 1 {
				t.Fatal("closed too early")
			}
			d.skip(10 * limits.Tick)
			d.until("the end", func() bool { return d.server.Stats().Connections == 0 })
			if n := d.server.Stats().BadHandshakes; (n == 1) != (len(part) > 0) {
				t.Fatal(n, "failures")
			}
		})
	}
}

// clientHello is the first record of a handshake.
func clientHello(t *testing.T) []byte {
	var b bytes.Buffer
	_ = tls.Client(&onlyWrites{to: &b}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return b.Bytes()
}

type onlyWrites struct {
	net.Conn
	to io.Writer
}

func (w *onlyWrites) Write(b []byte) (int, error) { return w.to.Write(b) }
func (w *onlyWrites) Read([]byte) (int, error)    { return 0, io.EOF }
func (w *onlyWrites) Close() error                { return nil }

// stall begins n handshakes that never go on.
func (d *driver) stall(n int) (all []*net.TCPConn) {
	d.Helper()
	hello := string(clientHello(d.T))
	for range n {
		all = append(all, d.client())
		d.write(all[len(all)-1], hello)
		d.turn(0)
	}
	return all
}

// TestTLSManyHandshakes: peers that stall do not keep others out for long, and those that wait get their turn.
func TestTLSManyHandshakes(t *testing.T) {
	d := openFrozen(t, withTLS(t, server.Config{}))
	for _, c := range d.stall(limits.MostHandshakes) {
		d.receive(c, 1) // now its handshake waits for the peer
	}
	p := d.begin(nil)
	for range 20 {
		d.turn(time.Millisecond)
	}
	if p.done() {
		t.Fatal("there was room for one more")
	}
	d.skip(2 * limits.HandshakeStall)
	d.until("a handshake", func() bool { return p.done() })
	d.must(<-p.err)
	d.write(p, simple)
	d.respond(d.expect(handoff.EventRequest), "hello")
	d.expectBytes(p, responseOf("hello"))
	if n := d.server.Stats().Connections; n > limits.MostHandshakes {
		t.Fatal(n, "connections: no stalled one was closed")
	}
}

// TestTLSFairHandshakes: behind many that stall, a client gets room as soon as there is some, and one that has come before most of them
// as well.
func TestTLSFairHandshakes(t *testing.T) {
	d := openFrozen(t, withTLS(t, server.Config{Conn: config.Config{HeaderTimeout: math.MaxUint32 / 4}}))
	for _, c := range d.stall(limits.MostHandshakes) {
		d.receive(c, 1)
	}
	accepted := func(n int) func() bool {
		return func() bool {
			s := d.server.Stats()
			return int(s.Accepted) == n && int(s.Buffers) == n-limits.MostHandshakes
		}
	}
	first := d.begin(nil)
	d.until("the first client", accepted(limits.MostHandshakes+1))
	d.stall(2 * limits.MostHandshakes)
	d.until("those that stall", accepted(3*limits.MostHandshakes+1))
	last := d.begin(nil)
	d.until("the last client", accepted(3*limits.MostHandshakes+2))
	if first.done() || last.done() {
		t.Fatal("there was room for one more")
	}
	d.skip(limits.HandshakeStall + 2*limits.HandshakeRetry) // the first room is free now, and no more than that
	d.until("both handshakes", func() bool { return first.done() && last.done() })
	d.must(<-first.err)
	d.must(<-last.err)
}
