// A panic in any kind of work: its connection is reset, the others are served, and nothing of it is left.

package server_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
)

// faults makes the work of one kind for one peer panic, for a while.
type faults struct {
	during string
	port   uint16
	left   int
	met    int
}

func (f *faults) meet(during string, port uint16) {
	if during == f.during && port == f.port && f.left > 0 {
		f.left--
		f.met++
		panic(fmt.Sprintf("injected in %s", during))
	}
}

func portOf(c *net.TCPConn) uint16 { return uint16(c.LocalAddr().(*net.TCPAddr).Port) }

// recovering is a driver whose work for a victim panics once it is armed.
func recovering(t *testing.T, config config.Config, during string) (*driver, *faults) {
	f := &faults{during: during}
	config.Fault = f.meet
	return open(t, server.Config{Conn: config, Recover: true}), f
}

func TestAPanicCostsOneConnection(t *testing.T) {
	lent := make([]byte, 16<<20)
	for during, c := range map[string]struct {
		config config.Config
		before func(d *driver, victim *net.TCPConn) (e event)
		after  func(d *driver, victim *net.TCPConn, e event)
	}{
		"report":  {after: func(d *driver, victim *net.TCPConn, _ event) { d.write(victim, get) }},
		"request": {after: func(d *driver, victim *net.TCPConn, _ event) { d.write(victim, get) }},
		"request behind another": {
			before: func(d *driver, victim *net.TCPConn) event {
				d.write(victim, get+get)
				return d.expect(handoff.EventRequest)
			},
			after: func(d *driver, _ *net.TCPConn, e event) { d.respond(e, "x") },
		},
		"write": {
			before: func(d *driver, victim *net.TCPConn) event {
				d.write(victim, get)
				return d.expect(handoff.EventRequest)
			},
			after: func(d *driver, _ *net.TCPConn, e event) {
				d.start(e.Stream, 200)
				for token := range uint64(100) {
					d.lend(e.Stream, token+1, lent[:100_000], handoff.CommandMore)
				}
			},
		},
		"deadline": {
			config: config.Config{KeepAliveTimeout: config.Ticks(short)},
			before: func(d *driver, victim *net.TCPConn) event {
				d.write(victim, get)
				d.exchange(victim, "x")
				return event{}
			},
			after: func(*driver, *net.TCPConn, event) {},
		},
		"drain": {after: func(d *driver, _ *net.TCPConn, _ event) { d.server.Drain() }},
		"abandon": {
			before: func(d *driver, victim *net.TCPConn) event {
				d.write(victim, get)
				return d.expect(handoff.EventRequest)
			},
			after: func(d *driver, _ *net.TCPConn, _ event) { d.server.Abandon() },
		},
	} {
		t.Run(during, func(t *testing.T) {
			kind, _, _ := strings.Cut(during, " ")
			d, f := recovering(t, c.config, kind)
			victim := d.client()
			var other *net.TCPConn
			if c.config.KeepAliveTimeout == 0 {
				other = d.send(get)
			} else {
				other = d.send(post(1, "")) // has no deadline
			}
			theirs := d.expect(handoff.EventRequest)
			var e event
			if c.before != nil {
				e = c.before(d, victim)
			}
			d.until("both", func() bool { return d.server.Stats().Connections == 2 })
			f.port, f.left = portOf(victim), 1
			c.after(d, victim, e)
			d.until("the panic", func() bool { return f.met == 1 && d.server.Stats().Panics == 1 })
			if during == "abandon" {
				return
			}
			if got := d.receive(victim, -1); d.ended == io.EOF {
				t.Errorf("the victim got %d octets and a clean end", len(got))
			}
			d.respond(theirs, "y")
			if got := d.receive(other, len(responseOf("y"))); !strings.HasPrefix(got, "HTTP/1.1 200 OK") || during != "drain" && c.config.KeepAliveTimeout == 0 && got != responseOf("y") {
				t.Errorf("the other got %q", got)
			}
			if line := d.expect(handoff.EventLog); line.Flags != handoff.LogError ||
				!strings.HasPrefix(line.data, "internal error: injected in "+kind+"; its connection was closed while ") ||
				!strings.Contains(line.data, "server_test.(*faults).meet (recover_test.go:") || !strings.Contains(line.data, " < transport.") {
				t.Errorf("logged %q", line.data)
			}
			if e.Stream != 0 && during == "write" {
				d.expect(handoff.EventDisconnect)
			}
		})
	}
}

// What a turn had no room for resumes in the next turn, also behind work that panics.
func TestAPanicInWhatWasPutOff(t *testing.T) {
	const n = 20
	met := 0
	config := config.Config{Fault: func(during string, _ uint16) {
		if during == "resume" && met == 0 {
			met++
			panic("injected")
		}
	}}
	d := open(t, server.Config{Conn: config, Recover: true})
	peers := make([]*net.TCPConn, n)
	for i := range peers {
		peers[i] = d.client()
	}
	d.until("all", func() bool { return d.server.Stats().Connections == n })
	large := strings.Replace(get, "Host", "X: "+strings.Repeat("x", 50_000)+"\r\nHost", 1)
	for _, peer := range peers {
		d.write(peer, large) // more than one turn reads
	}
	for range n - 1 {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	d.turn(0)
	if s := d.server.Stats(); s.Panics != 1 || s.Connections != n-1 || s.Requests != n-1 || s.Streams != 0 {
		t.Errorf("%+v", s)
	}
}

// Lent memory is released exactly once.
func TestAPanicGivesBackWhatWasLent(t *testing.T) {
	d, f := recovering(t, config.Config{}, "write")
	victim := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	f.port, f.left = portOf(victim), 1
	const n = 200
	for token := range uint64(n) {
		d.lend(e.Stream, token+1, make([]byte, 50_000), handoff.CommandMore)
	}
	d.until("the end", func() bool { return d.server.Stats().Connections == 0 })
	d.turn(0)
	seen := map[uint64]bool{}
	for _, token := range d.released {
		if seen[token] {
			t.Errorf("%d was released twice", token)
		}
		seen[token] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d were released", len(seen), n)
	}
}

// All work panics for a while: each connection is lost once, the server continues, and the log has it once.
func TestManyPanicsAreLoggedOnce(t *testing.T) {
	const n = 300
	f := 0
	config := config.Config{Fault: func(during string, _ uint16) {
		if during == "request" && f < n {
			f++
			panic("injected")
		}
	}}
	d := open(t, server.Config{Conn: config, Recover: true})
	for range n {
		d.send(get)
		d.turn(0)
	}
	d.until("all lost", func() bool { s := d.server.Stats(); return s.Panics == n && s.Connections == 0 })
	if lines := d.count(handoff.EventLog); lines != 1 {
		t.Errorf("%d lines", lines)
	}
	c := d.send(get)
	for d.count(handoff.EventRequest) == 0 {
		d.turn(time.Millisecond)
	}
	if got := d.exchange(c, "x"); got != responseOf("x") {
		t.Errorf("got %q", got)
	}
}

// Between the commands of several responses, with one head gathered already.
func TestAPanicWithinACommand(t *testing.T) {
	d, f := recovering(t, config.Config{}, "piece")
	victim, other := d.send(get), d.client()
	e := d.expect(handoff.EventRequest)
	d.write(other, get)
	theirs := d.expect(handoff.EventRequest)
	f.port, f.left = portOf(victim), 1
	d.start(e.Stream, 200)
	d.body(e.Stream, "to nobody", handoff.CommandMore)
	d.lend(e.Stream, 7, make([]byte, 10_000), handoff.CommandMore)
	d.respond(theirs, "x") // behind it
	if got := d.receive(other, len(responseOf("x"))); got != responseOf("x") {
		t.Errorf("the other got %q", got)
	}
	d.receive(victim, -1)
	d.expect(handoff.EventDisconnect)
	if s := d.server.Stats(); s.Panics != 1 || s.Connections != 1 || len(d.released) != 1 {
		t.Errorf("%+v, released %v", s, d.released)
	}
}

func TestWithoutRecoveryAPanicStaysOne(t *testing.T) {
	f := &faults{during: "report"}
	d := open(t, server.Config{Conn: config.Config{Fault: f.meet}})
	c := d.client()
	d.until("it", func() bool { return d.server.Stats().Connections == 1 })
	f.port, f.left = portOf(c), 1
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		f.left = 0
	}()
	d.write(c, get)
	d.expect(handoff.EventRequest)
}

// The panic is in the work for a connection that is examined to make room for another one, which must not hang.
func TestAPanicWhileRoomIsMade(t *testing.T) {
	config := atMost(2)
	var worker, victim *net.TCPConn
	armed := false
	config.Conn.Fault = func(during string, port uint16) {
		switch {
		case !armed:
		case during == "report" && port == portOf(worker): // this turn has already polled
			_, _ = io.WriteString(victim, get)
		case during == "request" && port == portOf(victim):
			armed = false
			panic("injected")
		}
	}
	config.Recover = true
	d := open(t, config)
	worker, victim = d.send(get), d.send(get)
	for range 2 {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	d.receive(worker, len(responseOf("x")))
	d.receive(victim, len(responseOf("x")))
	armed = true
	d.write(worker, "GET")
	arriving := d.client()
	if got := d.receive(arriving, -1); got != "" || armed {
		t.Errorf("got %q", got)
	}
	d.receive(victim, -1)
	d.until("one connection", func() bool { return d.server.Stats().Connections == 1 })
	again := d.send(get)
	if got := d.exchange(again, "y"); got != responseOf("y") {
		t.Errorf("then %q", got)
	}
}
