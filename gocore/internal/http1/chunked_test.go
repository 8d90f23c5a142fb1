// Chunked bodies, whole and in pieces.

package http1

import (
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// dechunk feeds a body in pieces of size octets and returns its content, the octets left behind it,
// and the refusal.
func dechunk(body string, size int) (content, behind string, done bool, r *message.Refusal) {
	var c Chunked
	for !done && len(body) > 0 {
		piece := []byte(body[:min(size, len(body))])
		var data []byte
		var n int
		if data, n, done, r = c.Next(piece); r != nil {
			return content, "", false, r
		}
		content += string(data)
		body = body[n:]
		if n == 0 {
			break
		}
	}
	return content, body, done, nil
}

func TestChunked(t *testing.T) {
	for _, c := range []struct{ body, content, behind string }{
		{"0\r\n\r\n", "", ""},
		{"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
		{"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET ", "hello world", "GET "},
		{"A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""},
		{"1a\r\nabcdefghijklmnopqrstuvwxyz\r\n00\r\n\r\n", "abcdefghijklmnopqrstuvwxyz", ""},
		{"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n\r\n", "\r\n0\r\n\r\n", "\r\n"},
		{"2;a;b=\"c\" ; d\r\nhi\r\n0 ;x\r\nA: b\r\nC:\td\xff\r\n\r\n0", "hi", "0"},
	} {
		for size := 1; size <= len(c.body); size++ {
			content, behind, done, r := dechunk(c.body, size)
			if content != c.content || behind != c.behind || !done || r != nil {
				t.Errorf("%q by %d: %q, then %q, %v, %v", c.body, size, content, behind, done, r)
			}
		}
	}
}

// The last content and the end come together if both are there, so an app gets one event instead of two.
func TestLastContentComesWithTheEnd(t *testing.T) {
	var c Chunked
	buf := []byte("5\r\nhello\r\n0\r\n\r\nGET")
	data, n, done, r := c.Next(buf)
	if string(data) != "hello" || n != len(buf)-3 || !done || r != nil {
		t.Errorf("%q, %d, %v, %v", data, n, done, r)
	}
}

func TestChunkedNeverCountsBeyondItsLimits(t *testing.T) {
	for name, c := range map[string]struct {
		start, fill string
		want        *message.Refusal
	}{
		"zeros":     {"", "0", HugeChunk},
		"digits":    {"", "f", HugeChunk},
		"space":     {"1", " ", ExtensionTooLong},
		"extension": {"1;a", "b", ExtensionTooLong},
		"no name":   {"1;", " ", ExtensionTooLong},
		"trailer":   {"0\r\n", "a", TrailerTooLarge},
		"value":     {"0\r\na:", " ", TrailerTooLarge},
		"trailers":  {"0\r\n", "a:\r\n", TrailerTooLarge},
	} {
		body := c.start + strings.Repeat(c.fill, 2*limits.MaxTrailerBytes)
		if _, _, _, r := dechunk(body, len(body)); r != c.want {
			t.Errorf("%s: %v, want %v", name, r, c.want)
		}
	}
}

// Limits count per chunk, so a long body may have as many extensions as it has chunks.
func TestExtensionsCountPerChunk(t *testing.T) {
	chunk := "1;" + strings.Repeat("a", limits.MaxChunkExtensionBytes) + "\r\nx\r\n"
	content, _, done, r := dechunk(strings.Repeat(chunk, 100)+"0\r\n\r\n", 1<<20)
	if len(content) != 100 || !done || r != nil {
		t.Errorf("%d octets, %v, %v", len(content), done, r)
	}
}

func TestLargestChunk(t *testing.T) {
	var c Chunked
	size := strings.Repeat("f", limits.MaxChunkSizeDigits)
	data, _, done, r := c.Next([]byte(size + "\r\nhello"))
	if string(data) != "hello" || done || r != nil || c.left != 1<<(4*limits.MaxChunkSizeDigits)-1-5 {
		t.Errorf("%q, %v, %v, %d to come", data, done, r, c.left)
	}
}
