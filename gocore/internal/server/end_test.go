// How connections and servers end: deadlines, drain, abandon.

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

const short = 80 // milliseconds

func TestDeadlines(t *testing.T) {
	for name, c := range map[string]struct {
		config config.Config
		text   string
		app    func(d *driver, e event) // what the app does, when there is a request
		want   string                   // beginning of what the peer receives
	}{
		"nothing is sent":       {config.Config{HeaderTimeout: config.Ticks(short)}, "", nil, "HTTP/1.1 408 "},
		"half a head":           {config.Config{HeaderTimeout: config.Ticks(short)}, "GET / HT", nil, "HTTP/1.1 408 "},
		"half a second head":    {config.Config{HeaderTimeout: config.Ticks(short)}, get + "GET / HT", respondX, responseOf("x") + "HTTP/1.1 408 "},
		"idle between requests": {config.Config{KeepAliveTimeout: config.Ticks(short)}, get, respondX, responseOf("x")},
		"half a body":           {config.Config{BodyTimeout: config.Ticks(short)}, post(5, "") + "he", func(*driver, event) {}, "HTTP/1.1 408 "},
		"an unwanted body":      {config.Config{BodyTimeout: config.Ticks(short)}, post(5, "") + "he", respondX, responseOf("x")},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{Conn: c.config})
			peer := d.send(c.text)
			if c.app != nil {
				c.app(d, d.expect(handoff.EventRequest))
			}
			if got := d.receive(peer, -1); !strings.HasPrefix(got, c.want) || c.want == responseOf("x") && got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func respondX(d *driver, e event) { d.respond(e, "x") }

func TestProgressPutsTheBodyTimeoutOff(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{BodyTimeout: config.Ticks(short)}})
	peer := d.send(post(12, ""))
	e := d.expect(handoff.EventRequest)
	for range 12 {
		d.skip(short / 4 * time.Millisecond)
		d.write(peer, "x")
		d.expect(handoff.EventBody)
		d.command(handoff.CommandConsumed, 0, 1, e.Stream, nil)
	}
	if d.exchangeEnds(peer, e); d.count(handoff.EventDisconnect) != 0 {
		t.Error("given up though the body went on")
	}
}

func (d *driver) exchangeEnds(peer *net.TCPConn, e event) {
	d.Helper()
	d.respond(e, "x")
	if got := d.receive(peer, len(responseOf("x"))); got != responseOf("x") {
		d.Errorf("got %q", got)
	}
}

func TestAnAppMayTakeItsTime(t *testing.T) {
	all := config.Config{HeaderTimeout: 2, KeepAliveTimeout: 2, BodyTimeout: 2, WriteTimeout: 2}
	for name, text := range map[string]string{"no body": get, "body read": post(2, "") + "hi", "continue not asked for": post(2, "expect: 100-continue\r\n")} {
		d := open(t, server.Config{Conn: all})
		peer := d.send(text)
		e := d.expect(handoff.EventRequest)
		for range 10 {
			d.turn(20 * time.Millisecond)
		}
		d.respond(e, "x")
		if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheHeaderTimeoutCountsFromTheFirstByte(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{HeaderTimeout: config.Ticks(short)}})
	peer := d.send(get)
	d.exchange(peer, "x")
	for range 10 { // idle for longer than the timeout
		d.skip(short / 5 * time.Millisecond)
		d.turn(0)
	}
	d.write(peer, get)
	d.exchange(peer, "y")
}

// drain tells the server to stop, and returns when the last connection is gone.
func (d *driver) drain() {
	d.Helper()
	d.server.Drain()
	d.until("the last connection's end", func() bool { return d.empty })
}

func TestDrainOfNothingIsToldOnceAndSleeps(t *testing.T) {
	d := open(t, server.Config{})
	d.drain()
	for range 3 { // the app may still have tasks to wait for
		d.sleeps(30 * time.Millisecond)
	}
	if c, err := net.Dial("tcp4", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: d.port}).String()); err == nil {
		defer c.Close()
		d.turn(10 * time.Millisecond)
		if d.server.Stats().Connections != 0 {
			t.Error("a connection was accepted")
		}
	}
}

func TestDrainClosesWhoAsksForNothing(t *testing.T) {
	d := open(t, server.Config{})
	silent, idle, half := d.client(), d.send(get), d.send("GET / HT")
	d.exchange(idle, "x")
	d.until("all three", func() bool { s := d.server.Stats(); return s.Connections == 3 && s.Buffers == 1 })
	d.server.Drain()
	d.turn(0)
	for name, c := range map[string]*net.TCPConn{"silent": silent, "idle": idle} {
		if got := d.receive(c, -1); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	d.write(half, "TP/1.1\r\nhost: a\r\n\r\n")
	d.respond(d.expect(handoff.EventRequest), "x")
	if got := d.receive(half, -1); !strings.Contains(got, "connection: close") {
		t.Errorf("got %q", got)
	}
	d.until("the end", func() bool { return d.empty })
}

func TestDrainFinishesWhatIsInProgress(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		behind bool
	}{
		"a request":             {get, false},
		"with one behind it":    {get + get, true},
		"with a body to come":   {post(100, "") + "he", false},
		"with a body behind it": {post(5, "") + "hello" + post(5, "") + "hello", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{})
			peer := d.send(c.text)
			e := d.expect(handoff.EventRequest)
			d.start(e.Stream, 200, "content-type", "text/plain") // the head does not announce the close yet
			d.turn(0)
			d.server.Drain()
			for range 3 {
				d.turn(time.Millisecond)
			}
			d.body(e.Stream, "x", 0)
			if got := d.receive(peer, len(responseOf("x"))); got != responseOf("x") {
				t.Errorf("got %q", got)
			}
			if c.behind { // the peer did not learn that the first response is the last
				d.respond(d.expect(handoff.EventRequest), "y")
			}
			if got := d.receive(peer, -1); c.behind != strings.Contains(got, "connection: close") || c.behind == (got == "") {
				t.Errorf("got %q", got)
			}
			_ = peer.Close()
			d.until("the end", func() bool { return d.empty })
		})
	}
}

func TestDrainDoesNotWaitForAnUnwantedBody(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(post(100, "") + "he")
	d.respond(d.expect(handoff.EventRequest), "x")
	d.receive(peer, len(responseOf("x")))
	d.server.Drain()
	if got := d.receive(peer, -1); got != "" {
		t.Errorf("got %q", got)
	}
	_ = peer.Close()
	d.until("the end", func() bool { return d.empty })
}

func TestDrainAnswersWhatArrivedBeforeIt(t *testing.T) {
	d := open(t, server.Config{})
	var peers []*net.TCPConn
	for range 5 {
		peers = append(peers, d.send(get)) // waits to be accepted
	}
	d.server.Drain()
	for range peers {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	for _, c := range peers {
		if got := d.receive(c, -1); !strings.Contains(got, "connection: close") {
			t.Errorf("got %q", got)
		}
	}
}

// More connections wait than one turn accepts; for the kernel each of them is established.
func TestDrainTakesAllThatWait(t *testing.T) {
	d := open(t, server.Config{})
	peers := make([]*net.TCPConn, 200)
	large := strings.Replace(get, "\r\n\r\n", "\r\ncookie: "+strings.Repeat("x", 4000)+"\r\n\r\n", 1) // more than one turn reads
	for i := range peers {
		peers[i] = d.send(large)
	}
	d.server.Drain()
	for range peers {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	for _, peer := range peers {
		if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
			t.Errorf("got %q", got)
		}
		_ = peer.Close()
	}
	d.until("the end", func() bool { return d.empty })
}

// One turn closes a few expired connections; the turns that follow do not wait for the others.
func TestThousandsAreEndedOverTurns(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{HeaderTimeout: config.Ticks(60_000)}})
	const n = 20 * limits.ExpirePerTurn
	for range n {
		d.send("GET")
	}
	d.until("all of them", func() bool { return d.server.Stats().Buffers == n })
	d.skip(61 * time.Second)
	d.turn(0)
	if left := d.server.Stats().Buffers; left != n-limits.ExpirePerTurn {
		t.Errorf("%d are left after a turn", left)
	}
	for turns := 1; d.server.Stats().Buffers > 0; turns++ {
		if before := time.Now(); turns > n/limits.ExpirePerTurn {
			t.Fatalf("%d are left after %d turns", d.server.Stats().Buffers, turns)
		} else if d.turn(hang); time.Since(before) > hang/2 {
			t.Fatal("a turn waited although there was something to do")
		}
	}
}

func TestAbandonEndsEverything(t *testing.T) {
	d := open(t, server.Config{})
	d.client()
	idle := d.send(get)
	d.exchange(idle, "x")
	d.send("GET /")
	d.send(post(100, "") + "he")
	reading := d.expect(handoff.EventRequest)
	d.send(get)
	full := d.expect(handoff.EventRequest)
	tokens, _ := d.fill(full.Stream, make([]byte, 64<<10))
	d.until("all", func() bool { s := d.server.Stats(); return s.Connections == 5 && s.Buffers == 1 })
	d.kept, d.released = nil, nil
	d.server.Abandon()
	gone := map[uint64]bool{}
	for _, e := range d.events() {
		d.note(e)
		if e.Kind == handoff.EventDisconnect {
			gone[e.Stream] = true
		}
	}
	if len(gone) != 2 || !gone[reading.Stream] || !gone[full.Stream] {
		t.Errorf("streams of disconnect events: %v", gone)
	}
	if len(d.released) == 0 || d.released[len(d.released)-1] != tokens[len(tokens)-1] {
		t.Errorf("released: %v of %v", d.released, tokens)
	}
}

// TestAPeerThatHasItsResponseIsNotWaitedFor: it is not known to have sent more, so it need not close first.
func TestAPeerThatHasItsResponseIsNotWaitedFor(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxKeepAliveRequests: 1}})
	peer := d.send(post(5, ""))
	e := d.expect(handoff.EventRequest)
	d.write(peer, "hello")
	d.expect(handoff.EventBody)
	d.respond(e, "x")
	d.turn(0)
	if n := d.server.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left in the turn of the last response", n)
	}
}

func TestAPeerThatHasSentMoreHasItsResponse(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxKeepAliveRequests: 1}})
	peer := d.send(post(5, ""))
	e := d.expect(handoff.EventRequest)
	d.write(peer, "hello"+get)
	d.expect(handoff.EventBody)
	d.respond(e, "x")
	if got := d.receive(peer, -1); !strings.HasSuffix(got, "0\r\n\r\n") || d.ended != io.EOF {
		t.Errorf("got %q, then %v", got, d.ended)
	}
}
