// Limits on clients, with a clock that only the test moves: when a time is over, what is counted, and what a panic leaves of the counts.

package server_test

import (
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

const second = uint32(time.Second / time.Millisecond)

func timed(ms uint32) server.Config {
	return server.Config{Conn: config.Config{RequestTimeout: config.Ticks(ms)}}
}

func TestTheTimeOfARequest(t *testing.T) {
	d := openFrozen(t, timed(second))
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.skip(time.Second)
	d.turn(0)
	if n := d.count(handoff.EventDisconnect); n != 0 {
		t.Fatal("it was ended before its time")
	}
	d.skip(2 * limits.Tick)
	end := d.expect(handoff.EventDisconnect)
	if end.Stream != e.Stream || end.Flags != handoff.EventCancel {
		t.Errorf("%+v", end)
	}
	if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 504 ") || !strings.Contains(got, "connection: close") {
		t.Errorf("%q", got)
	}
	if n := d.server.Refusals(journal.RequestTimeout); n != 1 {
		t.Errorf("counted %d times", n)
	}
	d.respond(e, "late") // for a stream that is over
	d.turn(0)
}

// A response that began is cut; one that ends in time leaves no deadline for the next request.
func TestTheTimeOfAResponse(t *testing.T) {
	d := openFrozen(t, timed(second))
	peer := d.send(get)
	for range 3 {
		e := d.expect(handoff.EventRequest)
		d.skip(900 * time.Millisecond)
		d.respond(e, "x")
		d.receive(peer, len(responseOf("x")))
		d.skip(time.Minute)
		d.turn(0)
		d.write(peer, get)
	}
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200, "content-length", "4")
	d.body(e.Stream, "half", handoff.CommandMore)
	d.skip(time.Second + 2*limits.Tick)
	if end := d.expect(handoff.EventDisconnect); end.Flags != handoff.EventCancel {
		t.Errorf("%+v", end)
	}
	if got := d.receive(peer, -1); !strings.HasSuffix(got, "half") {
		t.Errorf("%q", got)
	}
}

// Without turns the app cannot have responded, so it gets one more; but only once.
func TestTheTimeOfARequestAfterAStall(t *testing.T) {
	d := openFrozen(t, timed(second))
	for _, responds := range []bool{true, false} {
		peer := d.send(get)
		e := d.expect(handoff.EventRequest)
		d.skip(time.Minute)
		d.turn(0)
		if n := d.count(handoff.EventDisconnect); n != 0 {
			t.Fatal("it was ended by a stall")
		}
		if responds {
			d.respond(e, "x")
			if got := d.receive(peer, len(responseOf("x"))); got != responseOf("x") {
				t.Errorf("%q", got)
			}
			continue
		}
		d.skip(time.Minute)
		d.expect(handoff.EventDisconnect)
	}
}

func TestTheAgeOfAConnection(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{MaxConnectionLifetime: config.Ticks(second), KeepAliveTimeout: config.Ticks(600 * second)}})
	idle, busy := d.send(get), d.client()
	d.exchange(idle, "x")
	d.write(busy, get)
	e := d.expect(handoff.EventRequest)
	d.skip(900 * time.Millisecond)
	d.turn(0)
	if n := d.server.Stats().Connections; n != 2 {
		t.Fatalf("%d connections before their time", n)
	}
	d.skip(200 * time.Millisecond)
	if got := d.receive(idle, -1); got != "" {
		t.Errorf("%q", got)
	}
	d.respond(e, "y")
	if got := d.receive(busy, -1); !strings.Contains(got, "connection: close\r\n") || !strings.HasSuffix(got, chunk("y")+"0\r\n\r\n") {
		t.Errorf("%q", got)
	}
}

// A request that has arrived when the time is over is served.
func TestARequestAtTheEndOfAConnection(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{MaxConnectionLifetime: config.Ticks(second)}})
	peer := d.send(get)
	d.exchange(peer, "x")
	d.write(peer, get)
	d.skip(2 * time.Second)
	d.respond(d.expect(handoff.EventRequest), "y")
	if got := d.receive(peer, -1); !strings.Contains(got, "connection: close\r\n") {
		t.Errorf("%q", got)
	}
}

// Tasks count that go on without a stream, but no request twice.
func TestTasksThatGoOn(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{LimitConcurrency: 2}})
	d.server.Tasks(1) // its peer has gone
	first := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.server.Tasks(2)
	if got := d.receive(d.send(get), 12); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("%q", got)
	}
	d.server.Tasks(1)
	d.respond(e, "x")
	d.receive(first, len(responseOf("x")))
	d.server.Tasks(0)
	for range 2 {
		d.send(get)
		d.expect(handoff.EventRequest)
	}
	if got := d.receive(d.send(get), 12); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("%q", got)
	}
}

// The connection of a panic no longer counts.
func TestCountsAfterAPanic(t *testing.T) {
	armed := true
	d := open(t, server.Config{Recover: true, Conn: config.Config{MaxConnectionsPerIP: 1, Fault: func(during string, _ uint16) {
		if armed && during == "request" {
			armed = false
			panic("injected")
		}
	}}})
	d.receive(d.send(get), -1)
	peer := d.send(get)
	if got := d.exchange(peer, "x"); got != responseOf("x") {
		t.Errorf("%q", got)
	}
	if got := d.receive(d.client(), -1); got != "" || d.server.Refusals(journal.MaxConnectionsPerIP) != 1 {
		t.Errorf("%q, %+v", got, d.server.Stats())
	}
}
