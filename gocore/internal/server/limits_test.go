// Limits set by options: what is accepted up to them, what is refused beyond, and that the log names the option once.

package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// head is a request with a head of that many octets, a request line of that many, and that many field lines.
func head(octets, line, fields int) string {
	text := "GET /" + strings.Repeat("%61", (line-14)/3) + strings.Repeat("b", (line-14)%3) + " HTTP/1.1\r\nhost: a\r\n"
	for range fields - 2 {
		text += "a:\r\n"
	}
	return text + "x: " + strings.Repeat("x", octets-len(text)-len("x: \r\n\r\n")) + "\r\n\r\n"
}

func TestLimitsOfAHead(t *testing.T) {
	t.Parallel()
	most := http1.Limits{HeadBytes: limits.MostHeadBytes, LineBytes: limits.MostRequestLineBytes, Fields: limits.MostFields}
	small := http1.Limits{HeadBytes: 1024, LineBytes: 256, Fields: 8}
	for name, l := range map[string]http1.Limits{"default": http1.DefaultLimits, "most": most, "small": small} {
		for how, pieces := range map[string]int{"whole": 1, "in pieces": 40} {
			t.Run(name+", "+how, func(t *testing.T) {
				d := open(t, server.Config{Conn: config.Config{MaxHead: l}})
				for _, c := range []struct {
					text   string
					status string
					option string
				}{
					{head(l.HeadBytes, l.LineBytes, l.Fields), "", ""},
					{head(l.HeadBytes+1, l.LineBytes, l.Fields), "431", "max_request_head"},
					{head(l.HeadBytes, l.LineBytes+1, l.Fields), "414", "max_request_line"},
					{head(l.HeadBytes, l.LineBytes, l.Fields+1), "431", "max_request_fields"},
				} {
					peer := d.client()
					go func() {
						for rest := c.text; len(rest) > 0; {
							n := min(len(rest), len(c.text)/pieces+1)
							_, _ = io.WriteString(peer, rest[:n])
							rest = rest[n:]
						}
					}()
					if c.status == "" {
						e := d.expect(handoff.EventRequest)
						if n := len(e.request.fields); n != l.Fields || len(e.request.fields[n-1][1]) < 100 && name != "small" {
							t.Errorf("%d fields", n)
						}
						d.respond(e, "x")
						d.receive(peer, len(responseOf("x")))
						if s := d.server.Stats(); s.Buffers != 0 {
							t.Errorf("%d buffers are held when idle", s.Buffers)
						}
						d.write(peer, get)
						d.exchange(peer, "y")
						continue
					}
					if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") {
						t.Errorf("%s: %.40q", c.option, got)
					}
					if line := d.expect(handoff.EventLog); line.Flags != handoff.LogWarning || !strings.Contains(line.data, " exceeds "+c.option+" of ") {
						t.Errorf("%s: logged %q", c.option, line.data)
					}
				}
			})
		}
	}
}

// What follows a large head is kept with it, up to the next head: pipelined requests of the largest size.
func TestLargeHeadsOneBehindTheOther(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.client()
	const n = 20
	text := head(limits.DefaultHeadBytes, 100, 2)
	go func() { _, _ = io.WriteString(peer, strings.Repeat(text, n)) }()
	for i := range n {
		d.respond(d.expect(handoff.EventRequest), fmt.Sprint(i))
	}
	want := ""
	for i := range n {
		want += responseOf(fmt.Sprint(i))
	}
	if got := d.receive(peer, len(want)); got != want {
		t.Errorf("got %.200q", got)
	}
}

func TestEachLimitIsLoggedOnceInAWhile(t *testing.T) {
	config := sockets(0)
	config.Conn.MaxConnections, config.Conn.MaxRequestBody, config.Conn.WSMaxBytes = 3, 65536, 1<<20
	d := open(t, config)
	for range 3 {
		for _, text := range []string{
			"GET /" + strings.Repeat("a", 20_000), head(70_000, 20, 2), head(5000, 20, 300), post(65537, ""),
		} {
			peer := d.send(text)
			d.receive(peer, -1)
			_ = peer.Close()
		}
		peer, _ := d.meet()
		d.write(peer, string([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0}))
		d.receive(peer, -1)
		_ = peer.Close()
		d.until("the ends", func() bool { return d.server.Stats().Connections == 0 })
	}
	for range 3 {
		d.client()
	}
	d.until("all three", func() bool { return d.server.Stats().Connections == 3 })
	for range 3 {
		d.receive(d.client(), -1)
	}
	said := map[string]int{}
	for _, e := range d.kept {
		if e.Kind == handoff.EventLog {
			said[e.data]++
		}
	}
	for _, want := range []string{
		"a request was refused with 414: its request line exceeds max_request_line of 16,384 bytes (--max-request-line)",
		"a request was refused with 431: its head exceeds max_request_head of 65,536 bytes (--max-request-head)",
		"a request was refused with 431: the number of its fields exceeds max_request_fields of 256 (--max-request-fields)",
		"a request was refused with 413: its body exceeds max_request_body of 65,536 bytes (--max-request-body)",
		"a websocket was closed with 1009: a message exceeds ws_max_size of 1,048,576 bytes (--ws-max-size)",
		"a connection was closed at once, and none is idle to make room: their number exceeds max_concurrent_connections of 3 (--max-concurrent-connections)",
	} {
		if want += "; further ones within a minute are not logged"; said[want] != 1 {
			t.Errorf("%d times: %s", said[want], want)
		}
		delete(said, want)
	}
	if len(said) != 0 {
		t.Errorf("also logged: %v", said)
	}
}
