//go:build full

// Ends of connections that speak TLS.

package server_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
)

// TestTLSCloseNotifyEndsInput: what follows close_notify is not read, and the response still comes.
func TestTLSCloseNotifyEndsInput(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	p := d.dial(nil)
	d.write(p, simple)
	d.must(p.CloseWrite())
	d.must(p.raw.SetWriteDeadline(time.Now().Add(hang))) // crypto/tls has ended it
	d.write(p.raw, "noise that is not a record")
	d.respond(d.expect(handoff.EventRequest), "hello")
	d.expectBytes(p, responseOf("hello"))
	if rest, err := d.read(p, -1); rest != "" || err != nil {
		t.Fatal(rest, err)
	}
}

// TestTLSDamage: a record that cannot be opened ends the connection with an alert.
func TestTLSDamage(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	p := d.dial(nil)
	d.write(p.raw, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32))
	if _, err := d.read(p, -1); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Fatal(err)
	}
}

// TestTLSDrain: a draining server serves what has begun, and says goodbye with close_notify.
func TestTLSDrain(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	busy, idle, shaking := d.dial(nil), d.dial(nil), d.client()
	d.write(busy, simple)
	e := d.expect(handoff.EventRequest)
	d.server.Drain()
	d.respond(e, "hello")
	if got, err := d.read(busy, -1); err != nil || !strings.Contains(got, "hello") {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := d.read(idle, -1); err != nil {
		t.Fatal(err)
	}
	d.until("an empty server", func() bool { return d.empty })
	if _, err := shaking.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// TestTLSPanic: a panic ends one connection, and nothing is left of it, whenever it comes.
func TestTLSPanic(t *testing.T) {
	for _, during := range []string{"report", "request", "write"} {
		t.Run(during, func(t *testing.T) {
			port := uint16(0)
			c := withTLS(t, server.Config{Recover: true})
			c.Conn.Fault = func(what string, of uint16) {
				if what == during && of == port {
					panic("a fault")
				}
			}
			d := open(t, c)
			other, p := d.dial(nil), d.dial(nil)
			port = uint16(p.raw.LocalAddr().(*net.TCPAddr).Port)
			d.write(p, simple)
			if during == "write" {
				d.respond(d.expect(handoff.EventRequest), "hello")
			}
			if _, err := d.read(p, -1); err == nil {
				t.Fatal("the connection ended cleanly")
			}
			d.until("the end", func() bool { return d.server.Stats().Connections == 1 })
			d.kept = nil
			d.write(other, simple)
			d.respond(d.expect(handoff.EventRequest), "hello")
			d.expectBytes(other, responseOf("hello"))
		})
	}
}

// TestTLSIsRefused: the error names the option.
func TestTLSIsRefused(t *testing.T) {
	_, err := server.Open(server.Config{Conn: config.Config{TLS: &config.TLS{Certificates: []string{"/none"}}}})
	if err == nil || err.Error() != "ssl_certfile: /none: cannot be read: no such file or directory" {
		t.Fatal(err)
	}
}

// TestTLSIdle: an idle connection keeps a session and nothing else.
func TestTLSIdle(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	for range 10 {
		p := d.dial(nil)
		d.write(p, simple)
		d.respond(d.expect(handoff.EventRequest), "hello")
		d.expectBytes(p, responseOf("hello"))
	}
	if s := d.server.Stats(); s.Connections != 10 || s.Buffers+s.Queues+s.Streams != 0 {
		t.Fatalf("%+v", s)
	}
}
