// What ParseHead returns for heads that it accepts.

package http1

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

func parseFile(t *testing.T, name string) (*Head, []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(corpusFolder, name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	return parseText(t, string(raw))
}

func parseText(t *testing.T, text string) (*Head, []byte) {
	t.Helper()
	buf := []byte(text)
	h := &Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	n, r := ParseHead(h, buf, 0)
	if r != nil || n == 0 {
		t.Fatalf("%q: %d, %v", text, n, r)
	}
	return h, buf
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		file, path, query string
		escaped           bool
	}{
		{"200-get", "/", "", false},
		{"200-target-query", "/a", "b=c&d=e?f", false},
		{"200-target-empty-query", "/a", "", false},
		{"200-target-escaped", "/a%20b/%C3%A9", "q=%20", true},
		{"200-target-escape-in-query-only", "/a", "q=%20", false},
		{"200-target-double-slash", "//evil.example/a", "", false},
		{"200-target-browser-octets", "/a", "b[]={\"x\"|y}^`\\<>", false},
		{"200-target-absolute", "/a", "b", false},
		{"200-target-absolute-https", "/a", "", false},
		{"200-target-absolute-no-path", "/", "", false},
		{"200-target-absolute-only-query", "/", "a=b", false},
		{"200-options-asterisk", "*", "", false},
		{"200-connect", "", "", false},
	} {
		h, buf := parseFile(t, c.file)
		path, query := string(h.Path.In(buf)), string(h.Query.In(buf))
		if path != c.path || query != c.query || h.PathEscaped != c.escaped {
			t.Errorf("%s: path %q, query %q, escaped %v", c.file, path, query, h.PathEscaped)
		}
		if target := strings.Split(string(buf), " ")[1]; string(h.Target.In(buf)) != target {
			t.Errorf("%s: target %q, want %q", c.file, h.Target.In(buf), target)
		}
	}
}

// RFC 9112 3.2.2: the authority of the target replaces host.
func TestAbsoluteFormReplacesHost(t *testing.T) {
	for file, want := range map[string]string{
		"200-target-absolute":            "other.example:8080",
		"200-target-absolute-https":      "other.example",
		"200-target-absolute-no-path":    "other.example",
		"200-target-absolute-only-query": "other.example",
		"200-get":                        "example.com",
		"200-connect":                    "example.com:443",
	} {
		h, buf := parseFile(t, file)
		if got := string(h.Fields[0].Value.In(buf)); got != want || h.Fields[0].ID != idHost {
			t.Errorf("%s: host %q, want %q", file, got, want)
		}
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct{ line, name, value string }{
		{"Accept:*/*", "accept", "*/*"},
		{"Accept: \t  */* \t ", "accept", "*/*"},
		{"X-Empty:", "x-empty", ""},
		{"X-Empty: \t ", "x-empty", ""},
		{"X-Tab: a\t b", "x-tab", "a\t b"},
		{"X-Time: 10:20:30", "x-time", "10:20:30"},
		{"X-Latin: caf\xe9", "x-latin", "caf\xe9"},
		{"!#$%&'*+-.^_`|~09AZaz: v", "!#$%&'*+-.^_`|~09azaz", "v"},
		{"x: v", "x", "v"},
	} {
		h, buf := parseText(t, "GET / HTTP/1.0\r\n"+c.line+"\r\n\r\n")
		f := h.Fields[0]
		if name, value := string(f.Name.In(buf)), string(f.Value.In(buf)); name != c.name || value != c.value {
			t.Errorf("%q: %q = %q", c.line, name, value)
		}
	}
}

func TestOrderAndRepeatsStay(t *testing.T) {
	h, buf := parseText(t, "GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nA: 2\r\nB: 3\r\n\r\n")
	var got []string
	for _, f := range h.Fields {
		got = append(got, string(f.Name.In(buf))+string(f.Value.In(buf)))
	}
	if s := strings.Join(got, " "); s != "hosta b1 a2 b3" {
		t.Error(s)
	}
}

// flags in the order of Head: chunked, keep-alive, expect, upgrade, accepted codings, HEAD, CONNECT.
func flags(h *Head) string {
	return strings.Map(func(r rune) rune {
		set := map[rune]bool{'c': h.Chunked, 'k': h.KeepAlive, 'e': h.ExpectContinue, 'u': h.UpgradeWebSocket, 'a': h.AcceptsCodings, 'H': h.IsHEAD, 'C': h.IsCONNECT}
		if set[r] {
			return r
		}
		return -1
	}, "ckeuaHC")
}

func TestMeaning(t *testing.T) {
	const get11, get10 = "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.0\r\n"
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	const webSocket = "Connection: Upgrade\r\nUpgrade: WebSocket\r\n"
	for _, c := range []struct {
		head, flags string
		length      int64
	}{
		{get11, "k", -1},
		{get11 + "Connection: close\r\n", "", -1},
		{get11 + "Connection: CLOSE\r\n", "", -1},
		{get11 + "Connection: keep-alive, close\r\n", "", -1},
		{get11 + "Connection: x\r\nConnection: ,, close ,\r\n", "", -1},
		{get11 + "Connection: closed\r\n", "k", -1},
		{get11 + "Connection:\r\n", "k", -1},
		{get10, "", -1},
		{get10 + "Connection: keep-alive\r\n", "k", -1},
		{get10 + "Connection: Keep-Alive, close\r\n", "", -1},
		{"HEAD / HTTP/1.1\r\nHost: a\r\n", "kH", -1},
		{"head / HTTP/1.1\r\nHost: a\r\n", "k", -1},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n", "kC", -1},
		{post + "Content-Length: 0\r\n", "k", 0},
		{post + "Content-Length: 42\r\n", "k", 42},
		{post + "Content-Length: 9223372036854775807\r\n", "k", 1<<63 - 1},
		{post + "Transfer-Encoding: chunked\r\n", "ck", -1},
		{post + "Transfer-Encoding:\t CHUNKED \r\n", "ck", -1},
		{post + "Content-Length: 5\r\nExpect: 100-continue\r\n", "ke", 5},
		{post + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "cke", -1},
		{post + "Content-Length: 0\r\nExpect: 100-continue\r\n", "k", 0},
		{get11 + "Expect: 100-continue\r\n", "k", -1},
		{"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n", "", 5},
		{get11 + webSocket, "ku", -1},
		{get11 + "Connection: keep-alive, upgrade\r\nUpgrade: h2c, websocket\r\n", "ku", -1},
		{get11 + "Upgrade: websocket\r\n", "k", -1},
		{get11 + "Connection: upgrade\r\nUpgrade: websockets\r\n", "k", -1},
		{get11 + webSocket + "Content-Length: 1\r\n", "k", 1},
		{post + webSocket, "k", -1},
		{get10 + webSocket, "", -1},
		{get11 + "Accept-Encoding: gzip\r\n", "ka", -1},
		{get11 + "Accept-Encoding: identity;q=0.5, *;q=0\r\n", "ka", -1},
		{get11 + "Accept-Encoding: IDENTITY, , identity;q=1\r\n", "k", -1},
		{get11 + "Accept-Encoding:\r\n", "k", -1},
		{get11 + "Accept-Encoding: br\r\nAccept-Encoding: identity\r\n", "ka", -1},
		{get11 + "Accept: gzip\r\n", "k", -1},
	} {
		h, _ := parseText(t, c.head+"\r\n")
		if flags(h) != c.flags || h.ContentLength != c.length {
			t.Errorf("%q: %q, length %d; want %q, %d", c.head, flags(h), h.ContentLength, c.flags, c.length)
		}
	}
}

// The caller's field table is the limit, and never grows.
func TestFieldTableIsNotGrown(t *testing.T) {
	buf := []byte("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n")
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, 2)}
	if _, r := ParseHead(&h, buf, 0); r != TooManyFields {
		t.Errorf("three fields into a table of two: %v", r)
	}
	h.Fields = make([]Field, 0, limits.DefaultFields*2)
	many := []byte("GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a:\r\n", limits.DefaultFields) + "\r\n")
	if _, r := ParseHead(&h, many, 0); r != TooManyFields {
		t.Errorf("one more than limits.DefaultFields: %v", r)
	}
}

// What follows a head belongs to another request, or to a body.
func TestOctetsBehindTheHeadStay(t *testing.T) {
	const head, behind = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /NEXT HTTP/1.1\r\nHOST: A\r\n\r\n"
	buf := []byte(head + behind)
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	if n, r := ParseHead(&h, buf, 0); n != len(head) || r != nil {
		t.Fatal(n, r)
	}
	if string(buf[len(head):]) != behind {
		t.Errorf("%q", buf[len(head):])
	}
}

func TestFullBufferNeverNeedsMore(t *testing.T) {
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	for _, fill := range []string{"A", "GET /aaaa", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "GET / HTTP/1.1\r\nHost: a\r\nX"} {
		for _, scanned := range []int{0, 1, limits.DefaultHeadBytes - 1} {
			buf := []byte(fill + strings.Repeat("y", limits.DefaultHeadBytes-len(fill)))
			if n, r := ParseHead(&h, buf, scanned); n != 0 || r == nil {
				t.Errorf("%q... with %d scanned: %d, %v", fill, scanned, n, r)
			}
		}
	}
}

func TestLayout(t *testing.T) {
	if size := unsafe.Sizeof(Field{}); size != 20 {
		t.Errorf("a Field has %d octets; the bridge reads 20", size)
	}
	if size := unsafe.Sizeof(Chunked{}); size > 24 {
		t.Errorf("a Chunked has %d octets, and every connection with a body has one", size)
	}
}

func TestDecodePath(t *testing.T) {
	for raw, want := range map[string]string{
		"":                 "",
		"/plain":           "/plain",
		"/a%20b":           "/a b",
		"/%C3%a9":          "/\xc3\xa9",
		"%2f%2F":           "//",
		"/a+b":             "/a+b",
		"/%00":             "/\x00",
		"/100%":            "/100%",
		"/%zz%4":           "/%zz%4",
		"/%%34":            "/%4",
		"/%2525":           "/%25",
		"/%g1%1g%\xc3\xa9": "/%g1%1g%\xc3\xa9",
	} {
		if got := string(DecodePath([]byte("x"), []byte(raw))); got != "x"+want {
			t.Errorf("%q: %q, want %q", raw, got[1:], want)
		}
	}
}
