// Websockets through whole connections: the app's events, the peer's frames, and that nothing is left.

package server_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

const (
	shake = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	shaken = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
		"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// said is a frame of a peer, masked with zeroes.
func said(first byte, payload string) string {
	head := []byte{first, 0x80 | byte(len(payload))}
	switch {
	case len(payload) >= 1<<16:
		head = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(len(payload)))
	case len(payload) > 125:
		head = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

func sockets(keepAlive time.Duration) server.Config {
	return server.Config{Conn: config.Config{WSMaxBytes: limits.DefaultMessageBytes, WSKeepAliveTimeout: config.Ticks(uint32(keepAlive.Milliseconds()))}}
}

// meet connects a peer whose WebSocket the app has accepted.
func (d *driver) meet() (*net.TCPConn, event) {
	d.Helper()
	c := d.send(shake)
	e := d.expect(handoff.EventRequest)
	if e.Flags&handoff.EventWebSocket == 0 {
		d.Fatalf("%+v asks for no websocket", e)
	}
	d.command(handoff.CommandWSAccept, 0, 0, e.Stream, nil)
	if got := d.receive(c, len(shaken)); got != shaken {
		d.Fatalf("%q", got)
	}
	return c, e
}

func (d *driver) message(stream uint64, text string) {
	d.command(handoff.CommandWSSend, handoff.CommandText, 0, stream, []byte(text))
}

// eventsUntil is the app's events until the websocket ends, with each message in one piece.
func (d *driver) eventsUntil(until uint32) string {
	d.Helper()
	var words strings.Builder
	d.until("the end", func() bool {
		events := d.kept
		d.kept = nil
		for _, e := range events {
			switch e.Kind {
			case handoff.EventWSData:
				fmt.Fprintf(&words, "%s", e.data)
				if e.Flags&handoff.EventLast != 0 {
					words.WriteString("|")
				}
			case handoff.EventWSClose:
				fmt.Fprintf(&words, "%d %q", e.Flags, e.data)
			}
			if e.Kind == until {
				return true
			}
		}
		return false
	})
	return words.String()
}

func TestStatusesForCloseCodesBeforeAccept(t *testing.T) {
	for code, want := range map[uint32]string{
		1000: "403 Forbidden", 4000: "403 Forbidden", 4001: "401 Unauthorized", 4003: "403 Forbidden", 4004: "404 Not Found",
		4008: "408 Request Timeout", 4029: "429 Too Many Requests", 4030: "403 Forbidden",
	} {
		d := open(t, sockets(0))
		peer := d.send(shake)
		e := d.expect(handoff.EventRequest)
		d.command(handoff.CommandWSClose, 0, code, e.Stream, nil)
		if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 "+want+"\r\n") {
			t.Errorf("%d: %q", code, got)
		}
		if n := d.server.Stats().Refused; n != 0 {
			t.Errorf("%d: counted as a mistake of the peer", code)
		}
	}
}

func TestAConversationCutAnywhere(t *testing.T) {
	t.Parallel()
	d := open(t, sockets(0))
	whole := said(0x01, "frag") + said(0x89, "?") + said(0x80, "ments") + said(0x82, strings.Repeat("b", 300)) + said(0x88, "\x0b\xb8bye")
	for at := 1; at < len(whole); at++ {
		c, e := d.meet()
		d.write(c, whole[:at])
		d.turn(0)
		d.write(c, whole[at:])
		if got, want := d.eventsUntil(handoff.EventWSClose), "fragments|"+strings.Repeat("b", 300)+`|3000 "bye"`; got != want {
			t.Fatalf("cut at %d: %q", at, got)
		}
		d.message(e.Stream, "too late")
		if got := d.receive(c, -1); got != "\x8a\x01?\x88\x02\x0b\xb8" {
			t.Fatalf("cut at %d: answered %q", at, got)
		}
	}
}

func TestMessagesOfTheApp(t *testing.T) {
	d := open(t, sockets(0))
	c, e := d.meet()
	lent := []byte(strings.Repeat("x", 70_000))
	d.message(e.Stream, "short")
	d.lendAs(handoff.CommandWSSendRef, e.Stream, 7, lent, 0)
	d.command(handoff.CommandWSClose, 0, 4000, e.Stream, []byte("why"))
	want := "\x81\x05short\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70" + string(lent) + "\x88\x05\x0f\xa0why"
	if got := d.receive(c, len(want)); got != want {
		t.Errorf("%.100q", got)
	}
	d.until("the loan's end", func() bool { return len(d.released) == 1 })
	d.write(c, said(0x81, "ignored")+said(0x88, "\x0f\xa0"))
	if got := d.receive(c, -1); got != "" || d.count(handoff.EventWSData) != 0 {
		t.Errorf("then %q", got)
	}
}

// Whatever a message contains: an empty one counts its cost in Python.
func TestASlowAppStopsTheReading(t *testing.T) {
	for _, size := range []int{0, 1, 1000} {
		d := open(t, sockets(0))
		c, e := d.meet()
		message := said(0x82, strings.Repeat("m", size))
		go func() { _, _ = c.Write([]byte(strings.Repeat(message, 10_000))) }()
		cost := size + limits.MessageCostBytes
		for taken := 0; taken < 10_000; {
			d.until("messages", func() bool { return d.count(handoff.EventWSData) > 0 })
			for range 3 {
				d.turn(time.Millisecond)
			}
			whole, bytes := 0, 0
			for _, k := range d.kept {
				if k.Kind == handoff.EventWSData {
					bytes += len(k.data)
					if k.Flags&handoff.EventLast != 0 {
						whole++
					}
				}
			}
			if bytes > limits.UnreadBytes+2000 || whole > limits.UnreadBytes/cost+1 {
				t.Fatalf("%d messages of %d octets wait", whole, size)
			}
			d.kept = nil
			taken += whole
			d.command(handoff.CommandConsumed, 0, uint32(whole*cost), e.Stream, nil)
		}
	}
}

func TestSilence(t *testing.T) {
	const interval = 60 * time.Millisecond
	d := openFrozen(t, sockets(interval))
	c, _ := d.meet()
	d.skip(interval + 2*limits.Tick)
	if got := d.receive(c, 2); got != "\x89\x00" {
		t.Errorf("%q", got)
	}
	d.write(c, said(0x8a, ""))
	d.turn(0)
	d.skip(interval + 2*limits.Tick)
	if got := d.receive(c, 2); got != "\x89\x00" {
		t.Errorf("%q", got)
	}
	d.skip(interval + 2*limits.Tick)
	if got := d.receive(c, -1); got != "" {
		t.Errorf("%q", got)
	}
	if got := d.eventsUntil(handoff.EventWSClose); got != `1006 "ws_keepalive_timeout"` {
		t.Error(got)
	}
}

func TestADrainOfWebSockets(t *testing.T) {
	d := open(t, sockets(0))
	c, _ := d.meet()
	late := d.send(shake)
	e := d.expect(handoff.EventRequest)
	d.server.Drain()
	if got := d.eventsUntil(handoff.EventWSClose); got != `1012 ""` {
		t.Error(got)
	}
	d.command(handoff.CommandWSAccept, 0, 0, e.Stream, nil)
	if got := d.receive(late, len(shaken)+4); got != shaken+"\x88\x02\x03\xf4" {
		t.Errorf("%q", got)
	}
	for _, one := range []*net.TCPConn{c, late} {
		d.write(one, said(0x88, "\x03\xf4"))
	}
	d.until("the end", func() bool { return d.empty })
}

func TestNothingIsLeftOfSocketsThatAreAbandoned(t *testing.T) {
	d := open(t, sockets(0))
	for i := range 5 {
		c, e := d.meet()
		d.write(c, said(0x01, "half")+said(0x89, "?"))
		d.lendAs(handoff.CommandWSSendRef, e.Stream, uint64(i+1), make([]byte, 10<<20), 0)
		d.turn(time.Millisecond)
		d.write(c, strings.Repeat(said(0x89, strings.Repeat("p", 125)), 10))
	}
	d.send(shake)
	d.expect(handoff.EventRequest)
}
