// The shared raw requests in tests/corpus, read whole and in pieces.

package http1

import (
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

const corpusFolder = "../../../tests/corpus"

type corpusCase struct {
	name   string
	status int // 200: accepted; 408: needs more
	raw    []byte
}

func corpus(t testing.TB) (cases []corpusCase) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpusFolder, "*.http"))
	if err != nil || len(paths) < 250 {
		t.Fatalf("%d files in %s, %v", len(paths), corpusFolder, err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".http")
		status, err := strconv.Atoi(name[:3])
		if err != nil {
			t.Fatalf("%s does not start with a status", path)
		}
		cases = append(cases, corpusCase{name, status, raw})
	}
	return cases
}

// wire is a connection's use of this package in miniature: it receives octets and records
// the requests it finds, and why it stopped.
type wire struct {
	buf      []byte // not consumed yet
	scanned  int
	inBody   bool
	body     []byte
	head     Head
	heads    strings.Builder // all requests so far, in words
	left     int64
	chunked  Chunked
	refusal  *message.Refusal
	requests int
}

func newWire() *wire {
	return &wire{head: Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}}
}

func (w *wire) feed(b []byte) {
	w.buf = append(w.buf, b...)
	for w.refusal == nil && w.step() {
	}
}

// step says whether it should be called again.
func (w *wire) step() bool {
	if !w.inBody {
		return w.stepHead()
	}
	if !w.head.Chunked {
		n := min(w.left, int64(len(w.buf)))
		w.take(w.buf[:n], int(n), n == w.left)
		w.left -= n
		return !w.inBody
	}
	data, n, done, r := w.chunked.Next(w.buf)
	w.refusal = r
	if r != nil {
		return false
	}
	w.take(data, n, done)
	return n > 0
}

func (w *wire) take(data []byte, n int, done bool) {
	w.body = append(w.body, data...)
	w.buf = w.buf[n:]
	if done {
		fmt.Fprintf(&w.heads, "body %q\n", w.body)
		w.inBody, w.body = false, nil
		w.requests++
	}
}

func (w *wire) stepHead() bool {
	if len(w.buf) == 0 {
		return false
	}
	n, r := ParseHead(&w.head, w.buf, w.scanned)
	w.refusal = r
	if n == 0 || r != nil {
		w.scanned = len(w.buf)
		return false
	}
	w.heads.WriteString(describe(&w.head, w.buf))
	w.scanned, w.inBody, w.buf = 0, true, w.buf[n:]
	w.left, w.chunked = max(w.head.ContentLength, 0), Chunked{}
	return true
}

// outcome is everything a reader of these octets can observe.
func (w *wire) outcome() string {
	if w.refusal != nil {
		return w.heads.String() + "refused: " + w.refusal.Error()
	}
	return fmt.Sprintf("%s%d octets left", w.heads.String(), len(w.buf))
}

// settled is the outcome, for comparison with that of the same octets in one piece. In pieces, a
// refusal may have to wait for the end of the head.
func (w *wire) settled(want string) string {
	if w.refusal == nil && strings.Contains(want, "refused: ") {
		w.feed([]byte("\r\n\r\n"))
	}
	return w.outcome()
}

func (w *wire) status() int {
	switch {
	case w.refusal != nil:
		return w.refusal.Status
	case w.inBody || strings.Trim(string(w.buf), "\r\n") != "" || w.requests == 0:
		return 408
	}
	return 200
}

// describe puts all of a head into words.
func describe(h *Head, buf []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s (%s ? %s) HTTP/1.%d\n",
		h.Method.In(buf), h.Target.In(buf), h.Path.In(buf), h.Query.In(buf), h.Minor)
	for _, f := range h.Fields {
		fmt.Fprintf(&s, "%s: %s (%s)\n", f.Name.In(buf), f.Value.In(buf), KnownNames[f.ID])
	}
	flags := *h
	flags.Method, flags.Target, flags.Path, flags.Query, flags.Fields, flags.authority = Span{}, Span{}, Span{}, Span{}, nil, Span{}
	fmt.Fprintf(&s, "%+v\n", flags)
	return s.String()
}

func whole(raw []byte) *wire {
	w := newWire()
	w.feed(raw)
	return w
}

func TestCorpusStatus(t *testing.T) {
	for _, c := range corpus(t) {
		w := whole(c.raw)
		if w.status() != c.status {
			t.Errorf("%s: status %d, %s", c.name, w.status(), w.outcome())
		}
	}
}

func TestCorpusOctetByOctet(t *testing.T) {
	for _, c := range corpus(t) {
		want := whole(c.raw).outcome()
		w := newWire()
		for i := range c.raw {
			w.feed(c.raw[i : i+1])
		}
		if got := w.settled(want); got != want {
			t.Errorf("%s: octet by octet\n%s\nwhole\n%s", c.name, got, want)
		}
	}
}

func TestCorpusInTwoPieces(t *testing.T) {
	tried := begun{}
	for _, c := range corpus(t) {
		want := whole(c.raw).outcome()
		for _, at := range cuts(len(c.raw)) {
			if tried.again(c.raw, at) {
				continue
			}
			w := newWire()
			w.feed(c.raw[:at])
			w.feed(c.raw[at:])
			if got := w.settled(want); got != want {
				t.Errorf("%s: cut at %d\n%s\nwhole\n%s", c.name, at, got, want)
				break
			}
		}
	}
}

// Each prefix of a head needs more, or is refused like the whole head.
func TestCorpusPrefixes(t *testing.T) {
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	tried := begun{}
	for _, c := range corpus(t) {
		n, want := ParseHead(&h, append([]byte(nil), c.raw...), 0)
		end := n
		if want != nil || n == 0 {
			end = len(c.raw)
		}
		for _, at := range cuts(end) {
			if tried.again(c.raw, at) {
				continue
			}
			got, r := ParseHead(&h, append([]byte(nil), c.raw[:at]...), 0)
			if got != 0 || r != nil && r != want {
				t.Errorf("%s: first %d of %d octets: n %d, %v; whole: %d, %v", c.name, at, end, got, r, n, want)
				break
			}
		}
	}
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

// cuts are the lengths of all proper prefixes; beyond the first and last octets (600, or 100 of large entries) only some.
func cuts(size int) (at []int) {
	ends := 600
	if size > 8<<10 {
		ends = 100
	}
	for i := range size {
		if i < ends || i > size-ends || i%max(37, size/50) == 0 || i/40 == 409 { // and where a request line is too long
			at = append(at, i)
		}
	}
	return at
}

// Every refusal of this package has a case in the corpus.
func TestCorpusIsComplete(t *testing.T) {
	source, err := os.ReadFile("refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{more.Reason: true}
	for _, c := range corpus(t) {
		if r := whole(c.raw).refusal; r != nil {
			seen[r.Reason] = true
		}
	}
	reasons := regexp.MustCompile(`Reason: "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) < 40 {
		t.Fatalf("only %d reasons found in refusal.go", len(reasons))
	}
	for _, m := range reasons {
		if !seen[m[1]] {
			t.Errorf("no case is refused for: %s", m[1])
		}
	}
}
