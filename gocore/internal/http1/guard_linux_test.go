// Input that ends where readable memory ends: reading one octet too far crashes.

package http1

import (
	"os"
	"syscall"
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// guarded returns memory of at least size octets, followed by an inaccessible page.
func guarded(t *testing.T, size int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return m[:size:size]
}

// put copies b to the end of m, with a capacity that would allow reading past it.
func put(m, b []byte) []byte {
	at := m[len(m)-len(b):]
	copy(at, b)
	return at
}

func TestHeadStaysInItsBuffer(t *testing.T) {
	m := guarded(t, 128<<10)
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	tried := begun{}
	for _, c := range corpus(t) {
		for _, at := range append(cuts(len(c.raw)), len(c.raw)) {
			if tried.again(c.raw, at) {
				continue
			}
			n, r := ParseHead(&h, put(m, c.raw[:at]), 0)
			ParseHead(&h, put(m, c.raw[:at]), at/2)
			if n > 0 && r == nil {
				var chunked Chunked
				_, _, _, _ = chunked.Next(put(m, c.raw[n:at]))
			}
		}
	}
}

// Both pieces of a chunked body end at the guard, cut at every place: the second piece meets the decoder in each of its states.
func TestChunksStayInTheirPieces(t *testing.T) {
	m := guarded(t, 128<<10)
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	bodies := 0
	for _, c := range corpus(t) {
		n, r := ParseHead(&h, c.raw, 0)
		if n == 0 || r != nil || !h.Chunked {
			continue
		}
		bodies++
		body := c.raw[n:]
		for _, at := range append(cuts(len(body)), len(body)) {
			var chunked Chunked
			if decodeAll(&chunked, put(m, body[:at])) {
				decodeAll(&chunked, put(m, body[at:]))
			}
		}
	}
	if bodies < 30 {
		t.Errorf("only %d bodies", bodies)
	}
}

// decodeAll reports whether more can follow.
func decodeAll(c *Chunked, piece []byte) bool {
	for len(piece) > 0 {
		_, n, done, r := c.Next(piece)
		if done || r != nil || n == 0 {
			return false
		}
		piece = piece[n:]
	}
	return true
}

func TestResponseStaysInItsFields(t *testing.T) {
	m := guarded(t, 4<<10)
	fields := encode("content-type", "text/plain", "content-length", "13", "x", "", "x-long", "0123456789abcdef0123456789")
	for at := range len(fields) + 1 {
		a := message.Response{Status: 200, Minor: 1}
		_, _ = AppendHead(nil, &a, put(m, fields[:at]), &message.Defaults{})
	}
}

func TestDecodePathStaysInItsInput(t *testing.T) {
	m := guarded(t, 4<<10)
	for _, raw := range []string{"%", "%4", "%41", "/abc", "/%zz", "/a%"} {
		DecodePath(nil, put(m, []byte(raw)))
	}
}
