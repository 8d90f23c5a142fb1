// The limit of connections: closed ones make room first, then the longest idle; only then new ones are refused.

package server_test

import (
	"net"
	"testing"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

func atMost(n uint32) server.Config { return server.Config{Conn: config.Config{MaxConnections: n}} }

// All of it happens before a turn, so that the server learns of it in one.
func TestWhatHasClosedMakesRoom(t *testing.T) {
	d := open(t, atMost(2))
	d.must(d.client().Close())
	first, second := d.client(), d.client()
	d.until("both", func() bool { return d.server.Stats().Accepted == 3 })
	if got := d.receive(d.client(), -1); got != "" {
		t.Errorf("the third one got %q", got)
	}
	for _, c := range []*net.TCPConn{first, second} {
		d.write(c, get)
		if got := d.exchange(c, "x"); got != responseOf("x") {
			t.Errorf("got %q", got)
		}
	}
	if s := d.server.Stats(); s.Refused != 1 || s.Connections != 2 {
		t.Errorf("%+v", s)
	}
}

// A crowd disconnects while as many connect, more than one wait can report.
func TestACrowdMakesRoomForAnother(t *testing.T) {
	d := open(t, atMost(manyPeers))
	for _, peer := range d.crowd("") {
		_ = peer.Close()
	}
	const others = 200 // as many as may wait at a listener of a test
	for range others {
		d.send(get)
	}
	for range others {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	if s := d.server.Stats(); s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// age lets a tick pass, the resolution at which the server orders idle connections.
func (d *driver) age() {
	d.skip(2 * limits.Tick)
	d.turn(0)
}

func TestTheLongestIdleMakesRoom(t *testing.T) {
	const n = limits.IdleCandidates + 10 // so that a second sweep is needed
	d := open(t, atMost(n))
	peers := make([]*net.TCPConn, n)
	for i := range peers {
		peers[i] = d.send(get)
		d.exchange(peers[i], "x")
		d.age()
	}
	d.write(peers[0], get) // now the most recently active
	d.exchange(peers[0], "x")
	order := append(append([]*net.TCPConn{}, peers[1:]...), peers[0])
	for i, idle := range order {
		c := d.send(get)
		e := d.expect(handoff.EventRequest)
		if got := d.receive(idle, -1); got != "" {
			t.Fatalf("connection %d in the order of their last use got %q", i, got)
		}
		d.start(e.Stream, 200) // and stays busy
		d.receive(c, 10)
	}
	if got := d.receive(d.client(), -1); got != "" || d.server.Stats().Refused != 1 {
		t.Errorf("got %q though nobody is idle; %+v", got, d.server.Stats())
	}
}

// Thousands may connect and become idle within a tick: those that only just became idle make room as well.
func TestWhoHasJustBecomeIdleMakesRoom(t *testing.T) {
	d := openFrozen(t, atMost(3))
	for i := range 50 {
		c := d.send(get)
		if got := d.exchange(c, "x"); got != responseOf("x") {
			t.Fatalf("peer %d got %q", i, got)
		}
	}
	if s := d.server.Stats(); s.Refused != 0 || s.Connections != 3 {
		t.Errorf("%+v", s)
	}
}

// Only a connection whose request got a response is idle. A request that waits in the socket counts as one.
func TestWhoIsNotIdleMakesNoRoom(t *testing.T) {
	for name, make := range map[string]func(d *driver) (peer *net.TCPConn, then func()){
		"new":                   func(d *driver) (*net.TCPConn, func()) { return d.client(), nil },
		"half a head":           func(d *driver) (*net.TCPConn, func()) { return d.send(get[:9]), nil },
		"a request in progress": func(d *driver) (*net.TCPConn, func()) { return d.send(get), func() { d.expect(handoff.EventRequest) } },
		"half a body": func(d *driver) (*net.TCPConn, func()) {
			return d.send(post(4, "") + "ha"), func() { d.expect(handoff.EventRequest) }
		},
		"a websocket": func(d *driver) (*net.TCPConn, func()) { c, _ := d.meet(); return c, nil },
		"a second request begun": func(d *driver) (*net.TCPConn, func()) {
			c := d.send(get)
			d.exchange(c, "x")
			d.write(c, "GET")
			return c, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := atMost(1)
			config.Conn.WSMaxBytes = limits.DefaultMessageBytes
			d := open(t, config)
			peer, then := make(d)
			d.until("it", func() bool { return d.server.Stats().Connections == 1 })
			if then != nil {
				then()
			}
			if got := d.receive(d.send(get), -1); got != "" {
				t.Errorf("another one got %q", got)
			}
			if s := d.server.Stats(); s.Refused != 1 || s.Connections != 1 {
				t.Errorf("%+v", s)
			}
			_ = peer.Close()
		})
	}
}

// Refusing a flood at the limit costs one accept each, however many connections are open.
func TestAFloodAtTheLimitSweepsSeldom(t *testing.T) {
	d := open(t, atMost(1))
	busy := d.send(get)
	d.expect(handoff.EventRequest)
	for range 200 {
		d.client()
	}
	d.until("all refused", func() bool { return d.server.Stats().Refused == 200 })
	_ = busy
}
