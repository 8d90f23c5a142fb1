// The corpus through whole connections, in pieces: the cuts change neither what the app sees nor what the peer receives.

package server_test

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

const (
	interim = "HTTP/1.1 100 Continue\r\n\r\n"
	// fewOctets: up to this size an entry is cut at every place; larger ones only where something may happen.
	fewOctets = 1200
)

var (
	statusLine    = regexp.MustCompile(`(?m)^HTTP/1\.1 (\d{3}) `)
	wordsOfStatus = regexp.MustCompile(`HTTP/1\.1 (\d{3}) `)
)

// openLocal is open with a Unix socket: written data arrives at once, and no port is used up.
func openLocal(t *testing.T) *driver {
	t.Helper()
	s, err := server.Open(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{T: t, server: s}
	t.Cleanup(d.close)
	d.listener = d.localSocket()
	d.must(unix.Bind(d.listener, &unix.SockaddrUnix{})) // the kernel chooses a name
	d.must(unix.Listen(d.listener, 1))
	d.must(s.Listen([]transport.Listener{{FD: d.listener}}))
	return d
}

func (d *driver) localSocket() int {
	d.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	d.must(err)
	return fd
}

// session is one connection: a peer that sends pieces, an app that responds to complete requests, and what both have seen.
type session struct {
	*driver
	fd       int
	got      []byte
	ended    bool
	requests []*received
}

// received is a request as the app received it.
type received struct {
	stream         uint64
	head, body     string
	complete, gone bool
}

// tell sends the pieces with turns between them and ends the connection. A peer whose request will be refused
// completes its head when the pieces have not: cut in two, a bad head may be recognized only when it is complete.
func (d *driver) tell(refused bool, pieces ...[]byte) string {
	d.Helper()
	t := &session{driver: d, fd: d.localSocket()}
	defer unix.Close(t.fd)
	at, err := unix.Getsockname(d.listener)
	d.must(err)
	d.must(unix.Connect(t.fd, at))
	t.settle()
	for _, piece := range pieces {
		t.send(piece)
	}
	if refused && !t.ended && t.status() < 400 {
		t.send([]byte("\r\n\r\n"))
	}
	_ = unix.Shutdown(t.fd, unix.SHUT_WR)
	for end := time.Now().Add(hang); !t.ended || d.server.Stats().Connections > 0; t.settle() {
		if time.Now().After(end) {
			d.Fatalf("the connection does not end; so far\n%s", t.words())
		}
	}
	if s := d.server.Stats(); s.Streams+s.Buffers+s.Queues != 0 {
		d.Errorf("left after\n%s\n%+v", t.words(), s)
	}
	return t.words()
}

// send: a peer that got its last response may find the connection closed.
func (t *session) send(piece []byte) {
	t.Helper()
	for len(piece) > 0 && !t.ended {
		n, err := unix.Write(t.fd, piece)
		if err == unix.EPIPE {
			return
		}
		t.must(err)
		piece = piece[n:]
		t.settle()
	}
}

// settle takes turns until two in a row bring nothing.
func (t *session) settle() {
	for quiet := 0; quiet < 2; quiet++ {
		t.turn(0)
		if t.app() || t.receive() {
			quiet = -1
		}
	}
}

// app handles the events of a turn and responds to every complete request.
func (t *session) app() bool {
	events := t.kept
	t.kept = nil
	for _, e := range events {
		switch e.Kind {
		case handoff.EventRequest:
			t.requests = append(t.requests, &received{stream: e.Stream, head: e.request.words()})
			if e.Flags&handoff.EventContinue != 0 {
				t.command(handoff.CommandContinue, 0, 0, e.Stream, nil)
			}
			t.take(e, e.request.body)
		case handoff.EventBody:
			t.take(e, e.data)
		case handoff.EventDisconnect:
			t.current(e).gone = true
		}
	}
	return len(events) > 0
}

func (t *session) take(e event, body string) {
	r := t.current(e)
	r.body += body
	t.command(handoff.CommandConsumed, 0, uint32(len(body)), e.Stream, nil)
	if e.Flags&handoff.EventLast != 0 {
		r.complete = true
		t.respond(e, fmt.Sprintf("%d octets", len(r.body)))
	}
}

// current is the newest request, the only one that may get events.
func (t *session) current(e event) *received {
	r := t.requests[len(t.requests)-1]
	if r.stream != e.Stream || r.complete || r.gone {
		t.Fatalf("event %d of a request that is over", e.Kind)
	}
	return r
}

// receive reads what the peer was sent. A server that closes with octets unread resets a Unix socket too.
func (t *session) receive() bool {
	if t.ended {
		return false
	}
	piece := make([]byte, 4096)
	n, err := unix.Read(t.fd, piece)
	if err == unix.EAGAIN {
		return false
	}
	if n <= 0 {
		t.ended = true
		return true
	}
	t.got = append(t.got, piece[:n]...)
	return true
}

// status of the last response, 0 before the first.
func (t *session) status() (status int) {
	for _, m := range statusLine.FindAllSubmatch(t.got, -1) {
		_, _ = fmt.Sscan(string(m[1]), &status)
	}
	return status
}

// words is everything that must not depend on the cuts. How much the app sees of a refused request does depend on them,
// and so does whether a peer that waits for 100 gets it.
func (t *session) words() string {
	var s strings.Builder
	for _, r := range t.requests {
		switch {
		case r.complete:
			fmt.Fprintf(&s, "%s\nbody %q\n", r.head, r.body)
		case !r.gone:
			fmt.Fprintf(&s, "%s\nfor ever unfinished\n", r.head)
		case t.status() < 400:
			fmt.Fprintf(&s, "%s\nbody %q, cut off\n", r.head, r.body)
		}
	}
	fmt.Fprintf(&s, "response %q\n", bytes.ReplaceAll(t.got, []byte(interim), nil))
	return s.String()
}

func (r *request) words() string {
	return fmt.Sprintf("%s %q ? %q HTTP/1.%d %q", r.method, r.path, r.query, r.Minor, r.fields)
}

// entries are the files of tests/corpus: status of the last response, 408 for what gets no response before a timeout.
func entries(t testing.TB, do func(name string, status int, raw []byte)) {
	t.Helper()
	files, err := filepath.Glob("../../../tests/corpus/*.http")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, status := filepath.Base(path), 0
		if _, err := fmt.Sscan(name[:3], &status); err != nil {
			t.Fatal(name, err)
		}
		do(name, status, raw)
	}
}

// whole is the outcome of an entry in one piece, checked against its file name.
func (d *driver) whole(name string, status int, raw []byte) (words string, refused bool) {
	d.Helper()
	if strings.HasPrefix(name, "200-connect") {
		status = 501 // well-formed, but not served
	}
	words = d.tell(false, raw)
	last := lastStatus(words)
	if last != status {
		d.Errorf("%s: %d in one piece\n%s", name, last, words)
	}
	return words, isRefusal(last)
}

// lastStatus is that of the last response in words, 408 when there is none.
func lastStatus(words string) (status int) {
	status = 408
	for _, m := range wordsOfStatus.FindAllStringSubmatch(words[strings.LastIndex(words, "response "):], -1) {
		_, _ = fmt.Sscan(m[1], &status)
	}
	return status
}

func isRefusal(status int) bool { return status >= 400 && status != 408 }

func TestTheCorpusInTwoPieces(t *testing.T) {
	t.Parallel()
	d := openLocal(t)
	tried := begun{}
	entries(t, func(name string, status int, raw []byte) {
		want, refused := d.whole(name, status, raw)
		for _, at := range cuts(len(raw)) {
			if tried.again(raw, at) {
				continue
			}
			if got := d.tell(refused, raw[:at], raw[at:]); got != want {
				t.Errorf("%s: cut at %d\n%s\nin one piece\n%s", name, at, got, want)
				return
			}
		}
	})
}

// Large entries come in pieces of a few octets, so that buffers grow through every size.
func TestTheCorpusOctetByOctet(t *testing.T) {
	t.Parallel()
	d := openLocal(t)
	entries(t, func(name string, status int, raw []byte) {
		want, refused := d.whole(name, status, raw)
		size := 1
		if len(raw) > fewOctets {
			size = 61
		}
		var pieces [][]byte
		for at := 0; at < len(raw); at += size {
			pieces = append(pieces, raw[at:min(at+size, len(raw))])
		}
		if got := d.tell(refused, pieces...); got != want {
			t.Errorf("%s: by %d\n%s\nin one piece\n%s", name, size, got, want)
		}
	})
}

// begun are the beginnings of entries already tried.
type begun map[uint64]bool

var beginningSeed = maphash.MakeSeed()

// again reports whether an earlier entry was cut at the same place in the same octets, those around the cut included. True for half
// of all places, since entries begin alike.
func (b begun) again(raw []byte, at int) bool {
	const around = 8
	key := maphash.Bytes(beginningSeed, raw[:min(at+around, len(raw))])
	was := b[key]
	b[key] = true
	return was
}

// cuts are the lengths of all proper prefixes; of large entries those near their ends, near the sizes of buffers, and some
// between.
func cuts(size int) (at []int) {
	for i := 1; i < size; i++ {
		class := i == 512 || i == 4<<10 || i == 16<<10 || i == 64<<10
		if size <= fewOctets || i < 100 || i > size-100 || class || i%4096 < 2 || i%4096 == 4095 || i%max(97, size/50) == 0 {
			at = append(at, i)
		}
	}
	return at
}
