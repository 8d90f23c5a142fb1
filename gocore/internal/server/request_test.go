// Bytes in, requests out: whole, in pieces, pipelined.

package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
)

const get = "GET /a%20b?c=d HTTP/1.1\r\nHost: here\r\nX-Odd: Value\r\n\r\n"

func TestARequestAsCSeesIt(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(get)
	e := d.expect(handoff.EventRequest)
	r := e.request
	if r.method != "GET" || r.path != "/a b" || r.query != "c=d" || r.Minor != 1 || r.body != "" {
		t.Errorf("%q %q %q 1.%d %q", r.method, r.path, r.query, r.Minor, r.body)
	}
	if want := [][2]string{{"host", "here"}, {"x-odd", "Value"}}; fmt.Sprint(r.fields) != fmt.Sprint(want) {
		t.Errorf("fields %q", r.fields)
	}
	if e.Flags != handoff.EventLast {
		t.Errorf("flags %d", e.Flags)
	}
	if port := c.LocalAddr().String(); !strings.HasSuffix(port, fmt.Sprint(":", r.Client.Port)) || r.Client.Family != handoff.FamilyInet {
		t.Errorf("client %+v, not %s", r.Client, port)
	}
	if r.Local.Family != handoff.FamilyUnix {
		t.Error("the local address was asked for without need")
	}
}

func TestEverySplitPoint(t *testing.T) {
	d := open(t, server.Config{})
	const whole = "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
	for at := 1; at < len(whole); at++ {
		c := d.send(whole[:at])
		d.until("the connection", func() bool { return d.server.Stats().Connections == 1 })
		d.turn(0)
		d.write(c, whole[at:])
		e := d.expect(handoff.EventRequest)
		body := e.request.body
		if e.Flags&handoff.EventLast == 0 {
			last := d.expect(handoff.EventBody)
			body += last.data
			if last.Flags != handoff.EventLast {
				t.Errorf("split at %d: flags of the last piece %d", at, last.Flags)
			}
		}
		if e.request.path != "/p" || body != "hello" {
			t.Errorf("split at %d: %q, %q", at, e.request.path, body)
		}
		d.respond(e, "x")
		d.receive(c, len(responseOf("x")))
		if s := d.server.Stats(); s.Buffers != 0 {
			t.Fatalf("split at %d: %d buffers are held after the response", at, s.Buffers)
		}
		_ = c.Close()
		d.until("the end", func() bool { return d.server.Stats().Connections == 0 })
	}
}

func TestPipelinedRequestsComeOneAfterTheResponseToTheOther(t *testing.T) {
	d := open(t, server.Config{})
	const n = 300
	var all, want strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nhost: a\r\n\r\n", i)
		want.WriteString(responseOf(fmt.Sprint(i)))
	}
	c := d.send(all.String())
	for i := range n {
		e := d.expect(handoff.EventRequest)
		if want := fmt.Sprint("/", i); e.request.path != want {
			t.Fatalf("%q came, not %q", e.request.path, want)
		}
		d.turn(0)
		if d.count(handoff.EventRequest) > 0 {
			t.Fatal("the next request came before the response to this one")
		}
		d.respond(e, fmt.Sprint(i))
	}
	if got := d.receive(c, want.Len()); got != want.String() {
		t.Errorf("responses are not in order: %.200q", got)
	}
}

func TestManyConnectionsInOneTurn(t *testing.T) {
	d := open(t, server.Config{})
	const n = 200 // heads of 4 KiB: more than the arena of one turn holds
	padding := strings.Repeat("x", 4000)
	for i := range n {
		d.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nhost: a\r\npadding: %s\r\n\r\n", i, padding))
	}
	seen := map[string]bool{}
	for range n {
		e := d.expect(handoff.EventRequest)
		seen[e.request.path] = true
		d.respond(e, "")
	}
	d.turn(0)
	if len(seen) != n || d.server.Stats().Requests != n {
		t.Errorf("%d requests of %d", len(seen), n)
	}
}

func TestTheFourOutcomesOfABadHead(t *testing.T) {
	d := open(t, server.Config{})
	for text, status := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":                    "400 Bad Request",
		"GET / HTTP/3.0\r\nhost: a\r\n\r\n":         "505 HTTP Version Not Supported",
		"GET /" + strings.Repeat("a", 17000):        "414 URI Too Long",
		"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n": "501 Not Implemented",
	} {
		got := d.receive(d.send(text), -1)
		if !strings.HasPrefix(got, "HTTP/1.1 "+status+"\r\n") || !strings.Contains(got, "\r\nconnection: close\r\n") {
			t.Errorf("%.40q is answered by %q", text, got)
		}
	}
	if s := d.server.Stats(); s.Refused != 4 || s.Streams != 0 || d.count(handoff.EventRequest) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAConnectionOverTheCapIsClosedAtOnce(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxConnections: 2}})
	first, second := d.client(), d.client()
	d.until("both", func() bool { return d.server.Stats().Connections == 2 })
	if got := d.receive(d.client(), -1); got != "" {
		t.Errorf("the third one got %q", got)
	}
	_ = first.Close()
	d.until("room", func() bool { return d.server.Stats().Connections == 1 })
	d.write(second, get)
	d.exchange(second, "x")
	c := d.send(get)
	d.exchange(c, "x")
	if s := d.server.Stats(); s.Refused != 1 || s.Accepted != 3 {
		t.Errorf("%+v", s)
	}
}

func TestAPeerThatHasGoneIsTold(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.must(c.SetLinger(0)) // a reset
	_ = c.Close()
	if gone := d.expect(handoff.EventDisconnect); gone.Stream != e.Stream {
		t.Errorf("stream %x has gone, not %x", gone.Stream, e.Stream)
	}
	d.respond(e, "to nobody")
	d.turn(0)
	again := d.send(get)
	next := d.expect(handoff.EventRequest)
	d.respond(e, "stale") // the slot is in use again, by another stream
	d.respond(next, "fresh")
	if got := d.receive(again, len(responseOf("fresh"))); got != responseOf("fresh") {
		t.Errorf("got %q", got)
	}
}

func TestAnIdleServerSleeps(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(get)
	d.exchange(c, "x")
	for range 3 {
		d.sleeps(50 * time.Millisecond)
	}
}
