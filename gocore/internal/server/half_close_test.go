// Peers that half-close: they still get a response, until it turns out that they have gone.

package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

func last(data string) string {
	return strings.Replace(responseOf(data), "\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1)
}

func TestAHalfClosedPeerHasItsResponse(t *testing.T) {
	for name, text := range map[string]string{"no body": get, "a body": post(5, "") + "hello", "chunks": postChunked + chunk("hello") + "0\r\n\r\n"} {
		for when, early := range map[string]bool{"at once": true, "later": false} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				d := open(t, server.Config{})
				peer := d.client()
				d.write(peer, text)
				if early {
					d.must(peer.CloseWrite())
				}
				e := d.expect(handoff.EventRequest)
				d.must(peer.CloseWrite())
				if got := d.expect(handoff.EventHalfClose); got.Stream != e.Stream {
					t.Errorf("event of stream %x, not of %x", got.Stream, e.Stream)
				}
				d.turn(0)
				d.respond(e, "x")
				if got := d.receive(peer, -1); got != last("x") || d.ended != io.EOF {
					t.Errorf("got %q, then %v", got, d.ended)
				}
				if d.count(handoff.EventDisconnect)+d.count(handoff.EventHalfClose) != 0 {
					t.Errorf("further events: %+v", d.kept)
				}
			})
		}
	}
}

func TestRequestsBeforeAHalfCloseAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	peer := d.send(get + post(2, "") + "hi" + get)
	d.must(peer.CloseWrite())
	for _, data := range []string{"a", "b", "c"} {
		e := d.expect(handoff.EventRequest)
		if got := d.expect(handoff.EventHalfClose); got.Stream != e.Stream {
			t.Errorf("event of stream %x, not of %x", got.Stream, e.Stream)
		}
		d.respond(e, data)
	}
	if got := d.receive(peer, -1); got != responseOf("a")+responseOf("b")+last("c") || d.ended != io.EOF {
		t.Errorf("got %q, then %v", got, d.ended)
	}
}

// An app that stops at a disconnect still responds to a peer that only half-closed, if it is never silent for long.
func TestTheAppIsToldOnceItHasBeenSilent(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.must(peer.CloseWrite())
	began := time.Now()
	silent := began
	for time.Since(began) < limits.HalfCloseGrace*3/2 {
		silent = time.Now()
		d.body(e.Stream, "x", handoff.CommandMore)
		d.turn(5 * time.Millisecond)
		if d.count(handoff.EventHalfClose) != 0 {
			t.Fatalf("told after %v", time.Since(began))
		}
	}
	d.expect(handoff.EventHalfClose)
	if after := time.Since(silent); after < limits.HalfCloseGrace-limits.Tick {
		t.Errorf("told after %v of silence", after)
	}
	d.body(e.Stream, "end", 0)
	if got := d.receive(peer, -1); !strings.HasSuffix(got, "3\r\nend\r\n0\r\n\r\n") || d.ended != io.EOF {
		t.Errorf("got %q, then %v", got[max(0, len(got)-50):], d.ended)
	}
}

// A peer that takes its output is there, however slowly it reads.
func TestTheAppIsNotToldWhileOutputIsUnsent(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.lend(e.Stream, 7, make([]byte, 8<<20), handoff.CommandMore)
	d.must(peer.CloseWrite())
	for began := time.Now(); time.Since(began) < limits.HalfCloseGrace*3/2; {
		d.turn(20 * time.Millisecond)
	}
	if d.count(handoff.EventHalfClose) != 0 {
		t.Error("told while it reads slowly")
	}
	d.receive(peer, 8<<20)
	d.expect(handoff.EventHalfClose)
}

// While output is unsent, send() waits for the peer: the app is silent only from then on.
func TestSilenceBeginsWhenTheOutputHasLeft(t *testing.T) {
	d := openFrozen(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.lend(e.Stream, 7, make([]byte, 8<<20), handoff.CommandMore)
	d.must(peer.CloseWrite())
	pass := func(fifths int) {
		for range fifths {
			d.turn(0)
			d.skip(limits.HalfCloseGrace / 5)
			d.turn(0)
		}
	}
	d.until("unsent output", func() bool { return d.server.Stats().Queues == 1 })
	pass(4)
	d.receive(peer, 8<<20)
	d.until("all output sent", func() bool { return d.server.Stats().Queues == 0 })
	if pass(4); d.count(handoff.EventHalfClose) != 0 {
		t.Error("told too early")
	}
	if pass(2); d.count(handoff.EventHalfClose) != 1 {
		t.Error("not told")
	}
}

// Octets after the last request that gets a response are read, so that they do not cause a reset.
func TestTheLastResponseOfAHalfClosedPeerIsNotLost(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxKeepAliveRequests: 1}})
	peer := d.send(get + strings.Repeat(get, 5000))
	d.must(peer.CloseWrite())
	d.respond(d.expect(handoff.EventRequest), "x")
	if got := d.receive(peer, -1); got != last("x") || d.ended != io.EOF {
		t.Errorf("got %q, then %v", got, d.ended)
	}
	d.until("the end", func() bool { return d.server.Stats().Connections == 0 })
}

func TestAPeerThatIsNotThereAnyMoreIsFoundOutByWhatItIsSent(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	_ = peer.Close()
	d.expect(handoff.EventHalfClose)
	d.start(e.Stream, 200)
	d.until("its end", func() bool {
		d.body(e.Stream, "x", handoff.CommandMore)
		return d.count(handoff.EventDisconnect) > 0
	})
	if n := d.server.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestAnEndBeforeTheRequestsIsNoHalfClose(t *testing.T) {
	for name, text := range map[string]string{"half a head": get[:10], "half a body": post(5, "") + "he", "half a chunk": postChunked + "5\r\nhe"} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{})
			peer := d.send(text)
			d.must(peer.CloseWrite())
			if got := d.receive(peer, -1); got != "" {
				t.Errorf("got %q", got)
			}
			if d.count(handoff.EventHalfClose) != 0 || d.count(handoff.EventRequest) != d.count(handoff.EventDisconnect) {
				t.Errorf("events: %+v", d.kept)
			}
		})
	}
}

// RFC 6455 7.1.1: without a Close from the peer a websocket ends, accepted or not.
func TestAWebSocketIsNotHalfOpen(t *testing.T) {
	for name, accepted := range map[string]bool{"open": true, "asked for": false} {
		d := open(t, sockets(0))
		peer := d.send(shake)
		e := d.expect(handoff.EventRequest)
		if accepted {
			d.command(handoff.CommandWSAccept, 0, 0, e.Stream, nil)
			d.receive(peer, len(shaken))
		}
		d.must(peer.CloseWrite())
		d.expect(handoff.EventDisconnect)
		if d.count(handoff.EventHalfClose) != 0 {
			t.Errorf("%s: there is a half-close event", name)
		}
	}
}

// A Unix socket shows at once whether the peer half-closed or closed.
func TestALocalPeerThatClosesHasGone(t *testing.T) {
	d := openLocal(t)
	fd := d.localSocket()
	at, err := unix.Getsockname(d.listener)
	d.must(err)
	d.must(unix.Connect(fd, at))
	_, err = unix.Write(fd, []byte(get))
	d.must(err)
	d.expect(handoff.EventRequest)
	d.must(unix.Close(fd))
	d.expect(handoff.EventDisconnect)
}

// The response announces any close that is already certain, whatever the reason.
func TestAResponseSaysThatItIsTheLast(t *testing.T) {
	for name, c := range map[string]struct {
		config config.Config
		text   string
		last   bool
	}{
		"a small unread body":            {config.Config{}, post(1000, ""), false},
		"a large unread body":            {config.Config{}, post(1<<20, ""), true},
		"a large one, partly read":       {config.Config{}, post(1<<20, "") + strings.Repeat("x", 1<<10), true},
		"the peer's wish":                {config.Config{}, strings.Replace(get, "Host", "Connection: close\r\nHost", 1), true},
		"so many requests":               {config.Config{MaxKeepAliveRequests: 1}, get, true},
		"an expectation that is not met": {config.Config{}, post(5, "expect: 100-continue\r\n"), true},
		"none":                           {config.Config{}, get, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{Conn: c.config})
			peer := d.send(c.text)
			e := d.expect(handoff.EventRequest)
			d.start(e.Stream, 200, "content-length", "1")
			d.body(e.Stream, "x", 0)
			got := d.receive(peer, len("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"))
			if said := strings.Contains(got, "connection: c"); said != c.last {
				t.Errorf("got %q", got)
			}
			if c.last {
				d.receive(peer, -1)
			}
		})
	}
}
