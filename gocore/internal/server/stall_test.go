// Timers after a stall: deadlines pass without a turn, and what peers sent meanwhile is in their sockets.

package server_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// manyPeers is more than one wait can report.
const manyPeers = limits.PollEvents + 60

// patience is how long peers may take; it is shorter than a stall.
const patience = 4 * time.Second

// crowd connects manyPeers peers, each of which sends text.
func (d *driver) crowd(text string) (peers []*net.TCPConn) {
	d.Helper()
	for range manyPeers {
		peers = append(peers, d.send(text))
		d.turn(0)
	}
	d.until("all of them", func() bool { return d.server.Stats().Connections == manyPeers })
	return peers
}

// respondToAll responds to requests until n requests have arrived completely.
func (d *driver) respondToAll(n int) {
	d.Helper()
	d.until("requests", func() bool {
		events := d.kept
		d.kept = nil
		for _, e := range events {
			switch {
			case e.Kind == handoff.EventDisconnect:
				d.Fatal("a peer was given up")
			case e.Flags&handoff.EventLast != 0:
				d.respond(e, "x")
				n--
			}
		}
		return n == 0 && len(d.outbox) == 0
	})
}

func (d *driver) receiveAll(peers []*net.TCPConn, want string) {
	d.Helper()
	for i, peer := range peers {
		if got := d.receive(peer, len(want)); got != want {
			d.Fatalf("peer %d got %q", i, got)
		}
	}
}

func TestAStallEndsNobodyWhoWentOn(t *testing.T) {
	limit := config.Ticks(uint32(patience.Milliseconds()))
	for name, c := range map[string]struct {
		config         config.Config
		before, during string
		stats          func(s server.Stats) uint64 // the stall may begin when it is manyPeers
		answered       bool                        // before the stall
	}{
		"idle":             {config.Config{KeepAliveTimeout: limit}, get, get, connections, true},
		"nothing sent yet": {config.Config{HeaderTimeout: limit}, "", get, connections, false},
		"half a head":      {config.Config{HeaderTimeout: limit}, get[:10], get[10:], buffers, false},
		"half a body":      {config.Config{BodyTimeout: limit}, post(4, "") + "ha", "lf", streams, false},
		"half a chunk":     {config.Config{BodyTimeout: limit}, postChunked + "4\r\nha", "lf\r\n0\r\n\r\n", streams, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := openFrozen(t, server.Config{Conn: c.config})
			peers := d.crowd(c.before)
			if c.answered {
				d.respondToAll(manyPeers)
				d.receiveAll(peers, responseOf("x"))
			}
			d.until("all ready", func() bool { return c.stats(d.server.Stats()) == manyPeers })
			d.skip(patience + 500*time.Millisecond)
			for _, peer := range peers {
				d.write(peer, c.during)
			}
			d.respondToAll(manyPeers)
			d.receiveAll(peers, responseOf("x"))
		})
	}
}

func connections(s server.Stats) uint64 { return s.Connections }
func buffers(s server.Stats) uint64     { return s.Buffers }
func streams(s server.Stats) uint64     { return s.Streams }

// A body that the app does not want is read all the same, because a request may follow it.
func TestAStallDoesNotEndTheRestOfARequest(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{BodyTimeout: config.Ticks(short)}})
	peer := d.send(post(4, "") + "ha")
	d.respond(d.expect(handoff.EventRequest), "x")
	d.receive(peer, len(responseOf("x")))
	d.skip(2 * short * time.Millisecond)
	d.write(peer, "lf"+get)
	if got := d.exchange(peer, "y"); got != responseOf("y") {
		t.Errorf("got %q", got)
	}
}

// A peer that is still sending when the linger time is over would lose its response to a reset.
func TestAStallDoesNotResetWhoStillSends(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{MaxRequestBody: 10}})
	peer := d.send(post(150_000, "") + strings.Repeat("x", 50_000))
	d.until("its end", func() bool { return d.server.Stats().Refused == 1 })
	d.skip(2 * limits.LingerTimeout)
	d.write(peer, strings.Repeat("x", 50_000))
	d.turn(0)
	if d.server.Stats().Connections != 1 {
		t.Error("not listened to any more")
	}
	d.write(peer, strings.Repeat("x", 50_000))
	d.turn(0)
	_ = peer.CloseWrite()
	if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 413 ") || d.ended != io.EOF {
		t.Errorf("got %q, then %v", got, d.ended)
	}
	d.until("nothing", func() bool { return d.server.Stats().Connections == 0 })
}

func TestAStallDoesNotGiveUpWhoHasRead(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{WriteTimeout: config.Ticks(short)}})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	_, sent := d.fill(e.Stream, make([]byte, 256<<10))
	unsent := int(d.server.Stats().Unsent)
	got := 0
	for piece := make([]byte, 64<<10); got < sent-unsent; { // what the kernel holds, without a turn
		_ = peer.SetReadDeadline(time.Now().Add(short * time.Millisecond))
		n, err := peer.Read(piece)
		if got += n; err != nil {
			break
		}
	}
	d.skip(2 * short * time.Millisecond)
	d.receive(peer, sent-got)
}

// Without turns no Ping goes out either, so that the silence of a peer means nothing.
func TestAStallDoesNotGiveUpAWebSocketThatWasNotAsked(t *testing.T) {
	const interval = 100 * time.Millisecond
	d := openFrozen(t, sockets(interval))
	c, _ := d.meet()
	for range 3 {
		d.skip(3 * interval)
		if got := d.receive(c, 2); got != "\x89\x00" { // the server sends a Ping first
			t.Fatalf("%q", got)
		}
		d.write(c, said(0x8a, ""))
		d.turn(0)
	}
	if d.count(handoff.EventWSClose)+d.count(handoff.EventDisconnect) != 0 {
		t.Error("given up though it answered every Ping")
	}
}

// The Ping goes out just before the stall, and the Pong waits in the socket when it is over.
func TestAStallDoesNotGiveUpAWebSocketThatAnswers(t *testing.T) {
	const interval = patience / 2
	for name, late := range map[string]bool{"during the stall": false, "a little later": true} {
		t.Run(name, func(t *testing.T) {
			d := openFrozen(t, sockets(interval))
			peers := d.crowd(shake)
			d.until("all requests", func() bool { return d.count(handoff.EventRequest) == manyPeers })
			for _, e := range d.kept {
				d.command(handoff.CommandWSAccept, 0, 0, e.Stream, nil)
			}
			d.receiveAll(peers, shaken)
			d.skip(interval + 2*limits.Tick)
			asked := 0
			d.until("a Ping to each", func() bool {
				for asked < len(peers) {
					_ = peers[asked].SetReadDeadline(time.Now().Add(time.Millisecond))
					if n, _ := peers[asked].Read(make([]byte, 2)); n == 0 {
						return false
					}
					if !late {
						d.write(peers[asked], said(0x8a, ""))
					}
					asked++
				}
				return true
			})
			d.skip(2*interval + 500*time.Millisecond)
			d.turn(0)
			if late {
				for _, peer := range peers {
					d.write(peer, said(0x8a, ""))
				}
			}
			for range 20 {
				d.turn(0)
			}
			if n := d.server.Stats().Connections; n != manyPeers {
				t.Errorf("%d of %d are left", n, manyPeers)
			}
		})
	}
}

// A peer that reads, however slowly, is alive: its Ping is behind megabytes.
func TestAWebSocketThatReadsSlowlyIsNotGivenUp(t *testing.T) {
	const interval, pause = 500 * time.Millisecond, 40 * time.Millisecond
	d := openFrozen(t, sockets(interval))
	c, e := d.meet()
	message := make([]byte, 32<<20)
	d.lendAs(handoff.CommandWSSendRef, e.Stream, 1, message, 0)
	for left, step := len(message), len(message)*int(pause)/int(5*interval); left > 0; {
		left -= len(d.receive(c, min(step, left)))
		for range 8 {
			d.skip(pause / 8)
			d.turn(0)
		}
	}
	if d.count(handoff.EventDisconnect) != 0 {
		t.Error("given up")
	}
}
