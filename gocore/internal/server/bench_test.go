// What the core costs without C and Python: 64 peers of this process, over a unix socket, each of which asks once per turn. The figures
// include the peers' own two system calls. `make profile` takes the profile of these benchmarks, by which the core is compiled.

package server_test

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

const peers = 64

var (
	plain    = fields("content-type", "text/plain", "content-length", "13")
	chunked  = fields("content-type", "text/plain")
	hello    = []byte("Hello, World!")
	consumed = uint32(len(hello) + limits.PieceCostBytes)
)

// load is a server and its peers.
type load struct {
	*testing.B
	driver // only its outbox
	server *server.Server
	peers  [peers]int
}

func BenchmarkRequest(b *testing.B) {
	l := openLoad(b)
	l.run("GET /items/7?q=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", func(e handoff.Event) bool {
		l.command(handoff.CommandStart, 0, 200, e.Stream, plain)
		l.command(handoff.CommandBody, 0, 0, e.Stream, hello)
		return e.Kind == handoff.EventRequest
	})
}

// BenchmarkBodies sends a body in chunks and gets one.
func BenchmarkBodies(b *testing.B) {
	l := openLoad(b)
	l.run("POST / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nHello, World!\r\n0\r\n\r\n", func(e handoff.Event) bool {
		l.command(handoff.CommandConsumed, 0, consumed, e.Stream, nil)
		l.command(handoff.CommandStart, 0, 200, e.Stream, chunked)
		l.command(handoff.CommandBody, handoff.CommandMore, 0, e.Stream, hello)
		l.command(handoff.CommandBody, 0, 0, e.Stream, hello)
		return e.Kind == handoff.EventRequest
	})
}

// BenchmarkMessages echoes messages of websockets.
func BenchmarkMessages(b *testing.B) {
	l := openLoad(b)
	l.exchange([]byte(shake), func(e handoff.Event) bool {
		if e.Kind == handoff.EventRequest {
			l.command(handoff.CommandWSAccept, 0, 0, e.Stream, nil)
		}
		return e.Kind == handoff.EventRequest
	})
	l.run("\x81\x8d\x01\x02\x03\x04\x49\x67\x6f\x68\x6e\x2e\x23\x53\x6e\x70\x6f\x60\x20", func(e handoff.Event) bool {
		if e.Kind == handoff.EventWSData {
			l.command(handoff.CommandConsumed, 0, consumed, e.Stream, nil)
			l.command(handoff.CommandWSSend, handoff.CommandText, 0, e.Stream, hello)
		}
		return e.Kind == handoff.EventWSData
	})
}

func openLoad(b *testing.B) *load {
	l := &load{B: b}
	s, err := server.Open(server.Config{})
	l.check(err)
	l.server = s
	at := &unix.SockaddrUnix{Name: filepath.Join(b.TempDir(), "s")}
	listener := l.socket()
	l.check(unix.Bind(listener, at))
	l.check(unix.Listen(listener, peers))
	l.check(s.Listen([]transport.Listener{{FD: listener}}))
	for i := range l.peers {
		l.peers[i] = l.socket()
		l.check(unix.Connect(l.peers[i], at))
	}
	b.Cleanup(func() { s.Abandon(); s.Close() })
	return l
}

// run repeats exchange.
func (l *load) run(text string, answers func(handoff.Event) bool) {
	l.ReportAllocs()
	l.ResetTimer()
	each := []byte(text)
	for n := 0; n < l.N; n += peers {
		l.exchange(each, answers)
	}
}

// exchange sends text from each peer, takes turns until answers has told of as many events that it answers them, and reads the answers.
func (l *load) exchange(text []byte, answers func(handoff.Event) bool) {
	for _, fd := range l.peers {
		_, err := unix.Write(fd, text)
		l.check(err)
	}
	for answered := 0; answered < peers; {
		for _, e := range l.turn(time.Second) {
			if answers(e) {
				answered++
			}
		}
	}
	l.turn(0)
	var scratch [4096]byte
	for _, fd := range l.peers {
		if n, err := unix.Read(fd, scratch[:]); n <= 0 {
			l.Fatal("no answer: ", err)
		}
	}
}

func (l *load) turn(timeout time.Duration) []handoff.Event {
	l.check(l.server.Turn(l.outbox, timeout, nil))
	l.server.Flags()
	l.outbox = l.outbox[:0]
	ptr, n := l.server.Inbox()
	return view[handoff.Event](ptr, n)
}

func (l *load) socket() int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	l.check(err)
	l.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func (l *load) check(err error) {
	if err != nil {
		l.Fatal(err)
	}
}
