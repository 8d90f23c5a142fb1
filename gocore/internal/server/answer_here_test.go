// Requests that are answered without the app, and what they leave to it.

package server_test

import (
	"strings"
	"testing"

	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/proxy"
	"saltare/gocore/internal/server"
)

func withHealth() server.Config {
	return server.Config{Conn: config.Config{Answers: answer.Rules{Health: []byte("/health")}}}
}

const (
	health  = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n"
	healthy = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n\r\nok"
)

func TestHealthDoesNotWakeTheApp(t *testing.T) {
	d := open(t, withHealth())
	peer := d.send(health)
	if got := d.receive(peer, len(healthy)); got != healthy {
		t.Fatalf("%q", got)
	}
	if len(d.kept) != 0 {
		t.Errorf("the app gets %+v", d.kept)
	}
	if n := d.server.Stats().Streams; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// A peer that sends requests faster than they are answered does not keep a turn for itself.
func TestATurnAnswersOnlySoMany(t *testing.T) {
	d := openFrozen(t, withHealth())
	const count = 3 * limits.AnswersPerTurn
	greedy, other := d.client(), d.client()
	sent := make(chan error, 1)
	go func() {
		_, err := greedy.Write([]byte(strings.Repeat(health, count)))
		sent <- err
	}()
	d.until("the first answers", func() bool {
		before := d.server.Stats().Requests
		d.turn(0)
		if n := d.server.Stats().Requests - before; n > limits.AnswersPerTurn {
			t.Fatalf("one turn answered %d", n)
		}
		return before > 0
	})
	d.write(other, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	d.respond(d.expect(handoff.EventRequest), "x")
	if got := d.receive(greedy, count*len(healthy)); got != strings.Repeat(healthy, count) {
		t.Errorf("%d bytes", len(got))
	}
	d.must(<-sent)
}

func TestHealthOfAServerThatIsAboutToStop(t *testing.T) {
	d := open(t, withHealth())
	d.server.Unready()
	peer := d.send(health)
	if got := d.receive(peer, len("HTTP/1.1 503")); got[:12] != "HTTP/1.1 503" || strings.Contains(got, "connection: close") {
		t.Errorf("%q", got)
	}
}

func TestNoRequestOfAnAdminListenerReachesTheApp(t *testing.T) {
	c := withHealth()
	c.Admin = 1                           // the only listener
	c.Conn.ProxyProtocol = proxy.Version1 // which does not apply to it
	d := open(t, c)
	peer := d.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n" + health)
	const missing = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 10\r\n\r\nNot Found\n"
	if got := d.receive(peer, len(missing+healthy)); got != missing+healthy {
		t.Errorf("%q", got)
	}
	if len(d.kept) != 0 {
		t.Errorf("the app gets %+v", d.kept)
	}
}
