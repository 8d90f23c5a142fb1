// The app's commands -> the bytes on the wire.

package server_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
)

func TestFraming(t *testing.T) {
	for name, c := range map[string]struct {
		request, headers string // of the response: name, value, ...
		status           uint32
		pieces           []string
		want             string
		closes           bool
	}{
		"length":      {"GET / HTTP/1.1", "content-length,5", 200, []string{"he", "", "llo"}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false},
		"no length":   {"GET / HTTP/1.1", "", 200, []string{"he", "", "llo"}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", false},
		"empty":       {"GET / HTTP/1.1", "", 200, []string{"", ""}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false},
		"whole":       {"GET / HTTP/1.1", "x-a,b", 200, []string{"hello"}, "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello", false},
		"1.0 whole":   {"GET / HTTP/1.0", "", 200, []string{"hello"}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
		"HEAD":        {"HEAD / HTTP/1.1", "content-length,5", 200, []string{"hello"}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false},
		"204":         {"GET / HTTP/1.1", "content-length,5", 204, []string{"hello"}, "HTTP/1.1 204 No Content\r\n\r\n", false},
		"304":         {"GET / HTTP/1.1", "content-length,5", 304, []string{"hello"}, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false},
		"1.0":         {"GET / HTTP/1.0", "", 200, []string{"he", "llo"}, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", true},
		"1.0 kept":    {"GET / HTTP/1.0\r\nconnection: keep-alive", "content-length,2", 200, []string{"hi"}, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi", false},
		"peer closes": {"GET / HTTP/1.1\r\nconnection: close", "content-length,2", 200, []string{"hi"}, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", true},
		"app closes":  {"GET / HTTP/1.1", "content-length,2,connection,close", 200, []string{"hi"}, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{})
			peer := d.send(c.request + "\r\nhost: a\r\n\r\n")
			e := d.expect(handoff.EventRequest)
			var pairs []string
			if c.headers != "" {
				pairs = strings.Split(c.headers, ",")
			}
			if len(c.pieces) == 1 && !strings.Contains(c.headers, "content-length") {
				d.command(handoff.CommandStart, handoff.CommandWhole, c.status, e.Stream, fields(pairs...))
			} else {
				d.start(e.Stream, c.status, pairs...)
			}
			for i, piece := range c.pieces {
				more := uint16(handoff.CommandMore)
				if i == len(c.pieces)-1 {
					more = 0
				}
				d.body(e.Stream, piece, more)
			}
			n := len(c.want)
			if c.closes {
				n = -1
			}
			if got := d.receive(peer, n); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if !c.closes {
				d.write(peer, get)
				d.exchange(peer, "still there")
			}
		})
	}
}

func TestAWrongLengthEndsTheConnectionAndIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		more   uint16 // of the last piece
		wire   string
		log    string
	}{
		"too short": {[]string{"he", "l"}, 0, "hel", "less body than its content-length says: 3 of 5"},
		"too long":  {[]string{"he", "llo!"}, 0, "he", "more body than its content-length says: 6 of 5"},
		"going on":  {[]string{"he", "llo!"}, handoff.CommandMore, "he", "more body than its content-length says: 6 of 5"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{})
			peer := d.send(get + get)
			e := d.expect(handoff.EventRequest)
			d.start(e.Stream, 200, "content-length", "5")
			d.body(e.Stream, c.pieces[0], handoff.CommandMore)
			d.body(e.Stream, c.pieces[1], c.more)
			if got, want := d.receive(peer, -1), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"+c.wire; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if line := d.expect(handoff.EventLog); !strings.Contains(line.data, c.log) || line.Flags != handoff.LogError {
				t.Errorf("logged %q", line.data)
			}
			if d.count(handoff.EventRequest) != 0 {
				t.Error("the next request was taken up")
			}
			if c.more != 0 {
				d.expect(handoff.EventDisconnect) // so that no app waits for room on a closed connection
			}
		})
	}
}

func TestABadContentLengthIs500(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200, "content-length", "five")
	d.body(e.Stream, "hello", handoff.CommandMore)
	if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 500 ") || strings.Contains(got, "hello") {
		t.Errorf("got %q", got)
	}
	if line := d.expect(handoff.EventLog); !strings.Contains(line.data, "content-length is not a number") {
		t.Errorf("logged %q", line.data)
	}
	d.expect(handoff.EventDisconnect)
}

func TestAbort(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		fields  []string // of the start; nil: there is no start
		wire    string
		reset   bool
	}{
		"before the start": {"GET / HTTP/1.1", nil, "HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\nconnection: close\r\n\r\nInternal Server Error\n", false},
		"HEAD":             {"HEAD / HTTP/1.1", nil, "HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\nconnection: close\r\n\r\n", false},
		"in chunks":        {"GET / HTTP/1.1", []string{}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", false},
		"of a length":      {"GET / HTTP/1.1", []string{"content-length", "9"}, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", false},
		"until close":      {"GET / HTTP/1.0", []string{}, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhi", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, server.Config{})
			peer := d.send(c.request + "\r\nhost: a\r\n\r\n")
			e := d.expect(handoff.EventRequest)
			got := ""
			if c.fields != nil {
				d.start(e.Stream, 200, c.fields...)
				d.body(e.Stream, "hi", handoff.CommandMore)
				got = d.receive(peer, len(c.wire))
			}
			d.command(handoff.CommandAbort, 0, 0, e.Stream, nil)
			got += d.receive(peer, -1)
			if got != c.wire {
				t.Errorf("got  %q\nwant %q", got, c.wire)
			}
			if reset := errors.Is(d.ended, unix.ECONNRESET); reset != c.reset {
				t.Errorf("the connection ended with %v", d.ended)
			}
		})
	}
}

func TestTheLastOfSoManyRequests(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxKeepAliveRequests: 3}})
	peer := d.send(strings.Repeat(get, 4))
	for range 3 {
		d.respond(d.expect(handoff.EventRequest), "x")
	}
	got := d.receive(peer, -1)
	if n := strings.Count(got, "HTTP/1.1 200"); n != 3 || strings.Count(got, "connection: close") != 1 {
		t.Errorf("%d responses: %q", n, got)
	}
}

func TestDefaults(t *testing.T) {
	config := config.Config{ServerHeader: []byte("server: s\r\n"), ExtraHeaders: []byte("x-a: 1\r\nx-b: 2\r\n"), DateHeader: true}
	d := open(t, server.Config{Conn: config})
	peer := d.send(get + "nonsense\r\n\r\n")
	d.respond(d.expect(handoff.EventRequest), "x")
	got := d.receive(peer, -1)
	for _, line := range []string{"\r\nserver: s\r\n", "\r\nx-a: 1\r\nx-b: 2\r\n", "\r\ndate: "} {
		if strings.Count(got, line) != 2 {
			t.Errorf("%q is not in both of %q", line, got)
		}
	}
}

func TestCommandsForStreamsThatAreOver(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.respond(e, "x")
	for kind := handoff.CommandStart; kind <= handoff.CommandAbort; kind++ {
		for _, stream := range []uint64{e.Stream, e.Stream + 1, 0, 1<<64 - 1} {
			switch kind {
			case handoff.CommandBodyRef:
				d.lend(stream, 7, []byte("late"), 0)
			case handoff.CommandFile:
				fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
				d.must(err)
				d.command(uint16(kind), 0, 0, stream, octets(&handoff.File{FD: int32(fd), Len: 1}))
			default:
				d.command(uint16(kind), 0, 200, stream, nil)
			}
		}
	}
	if got := d.receive(peer, len(responseOf("x"))); got != responseOf("x") {
		t.Errorf("got %q", got)
	}
	if files := d.server.Stats().Files; fmt.Sprint(d.released) != "[7 7 7 7]" || files != 0 {
		t.Errorf("released: %v; %d files are open", d.released, files)
	}
	d.write(peer, get)
	d.exchange(peer, "y")
}
