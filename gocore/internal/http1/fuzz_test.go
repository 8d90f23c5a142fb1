// Properties that hold for any input.

package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

func FuzzHead(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add(c.raw, uint(len(c.raw)/2))
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut uint) {
		h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
		buf := bytes.Clone(raw)
		n, r := ParseHead(&h, buf, 0)
		checkWritten(t, raw, buf, n)
		if n > 0 {
			if r != nil || n > len(buf) || n > limits.DefaultHeadBytes {
				t.Fatal(n, r)
			}
			checkHead(t, &h, buf[:n])
			compareHead(t, &h, buf[:n])
		}
		checkCut(t, raw, int(cut%uint(len(raw)+1)))
	})
}

// checkWritten: the parser changes nothing in the input except capitals to lower case, in the head.
func checkWritten(t *testing.T, before, after []byte, n int) {
	t.Helper()
	for i, c := range after {
		if was := before[i]; c != was && (c != was|0x20 || was < 'A' || was > 'Z' || n > 0 && i >= n) {
			t.Fatalf("octet %d was %#x and is %#x; the head has %d", i, was, c, n)
		}
	}
}

// checkHead: spans lie within the head and hold only allowed octets.
func checkHead(t *testing.T, h *Head, head []byte) {
	t.Helper()
	line := bytes.Index(head, []byte(" HTTP/1."))
	for _, s := range []Span{h.Method, h.Target, h.Path, h.Query} {
		if int(s.Off+s.Len) > line+len(" HTTP/1.1") || int(s.Off) > len(head) {
			t.Fatalf("%+v in a request line that ends at %d", s, line)
		}
	}
	if path := h.Path.In(head); (len(path) == 0) != h.IsCONNECT || h.PathEscaped != bytes.ContainsRune(path, '%') {
		t.Fatalf("path %q, escaped %v", path, h.PathEscaped)
	}
	at := line
	for _, f := range h.Fields {
		name, value := string(f.Name.In(head)), f.Value.In(head)
		if int(f.Name.Off) <= at || !octet.IsToken([]byte(name)) || strings.ToLower(name) != name || !octet.IsText(value) || len(octet.Trim(value)) != len(value) {
			t.Fatalf("field %q: %q", name, value)
		}
		if isKnown(name) != (f.ID != 0) || f.ID != 0 && KnownNames[f.ID] != name {
			t.Fatalf("field %q has ID %d", name, f.ID)
		}
		at = int(f.Name.Off)
	}
	if h.Chunked && h.ContentLength >= 0 || h.ContentLength < -1 || h.Chunked && h.Minor == 0 {
		t.Fatalf("framing: %+v", *h)
	}
	if !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		t.Fatalf("%q does not end a head", head)
	}
}

// compareHead: net/http is laxer, but both must read what both accept in the same way.
func compareHead(t *testing.T, h *Head, head []byte) {
	t.Helper()
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(head, "\r\n"))))
	if err != nil {
		return
	}
	length := max(h.ContentLength, 0)
	if h.Chunked {
		length = -1
	}
	if theirs.ContentLength != length || theirs.Method != string(h.Method.In(head)) || theirs.RequestURI != string(h.Target.In(head)) {
		t.Fatalf("net/http: %s %s, length %d; here length %d of\n%q", theirs.Method, theirs.RequestURI, theirs.ContentLength, length, head)
	}
	if theirs.Close && h.KeepAlive {
		t.Fatalf("net/http closes after\n%q", head)
	}
}

// checkCut: the same result in two pieces.
func checkCut(t *testing.T, raw []byte, cut int) {
	t.Helper()
	one, two := newWire(), newWire()
	one.feed(raw)
	two.feed(raw[:cut])
	two.feed(raw[cut:])
	if want, got := one.outcome(), two.settled(one.outcome()); got != want {
		t.Fatalf("cut at %d\n%s\nwhole\n%s", cut, got, want)
	}
}

func FuzzChunked(f *testing.F) {
	for _, c := range corpus(f) {
		if _, body, ok := bytes.Cut(c.raw, []byte("\r\n\r\n")); ok && strings.Contains(c.name, "chunk") {
			f.Add(string(body), 3)
		}
	}
	f.Fuzz(func(t *testing.T, body string, size int) {
		content, behind, done, r := dechunk(body, len(body)+1)
		content2, behind2, done2, r2 := dechunk(body, max(1, size%64))
		if r != r2 || done != done2 || r == nil && content != content2 || done && behind != behind2 {
			t.Fatalf("%q in pieces of %d: %q %q %v %v; whole: %q %q %v %v", body, size%64, content2, behind2, done2, r2, content, behind, done, r)
		}
		if done {
			theirs, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(body)))
			if err == nil && string(theirs) != content {
				t.Fatalf("%q: net/http reads %q, here %q", body, theirs, content)
			}
		}
	})
}

// FuzzResponse writes two responses, the first shaped by the app, and has net/http read both: it finds the
// second only if the first is framed as declared.
func FuzzResponse(f *testing.F) {
	f.Add(uint16(200), uint8(1), "content-type", "text/plain", "content-length", "5", "hello")
	f.Add(uint16(204), uint8(1), "content-length", "0", "x", "\t", "")
	f.Add(uint16(304), uint8(3), "content-length", "5", "connection", "close", "")
	f.Add(uint16(205), uint8(0), "transfer-encoding", "chunked", "date", "", "hello")
	f.Add(uint16(200), uint8(1), "a", "b\r\n\r\nHTTP/1.1 200 OK", "c\n", "d", "")
	f.Fuzz(func(t *testing.T, status uint16, how uint8, name1, value1, name2, value2, body string) {
		a := message.Response{Status: status % 1100, Minor: how & 1, HEAD: how&2 != 0, Close: how&4 != 0}
		before := a
		out, err := AppendHead(nil, &a, encode(name1, value1, name2, value2), &benchDefaults)
		if err != nil {
			if len(out) != 0 || a != before {
				t.Fatalf("%v, but %q, %+v", err, out, a)
			}
			return
		}
		if len(out) == 0 || a.Status == 101 || a.Mode == message.BodyLength && a.ContentLength > 1<<16 {
			return // 1xx to 1.0; a change of protocol; a body too large to send here
		}
		checkLines(t, out, name1+value1+name2+value2)
		out, body = appendBody(out, &a, body, encode(name2, value2))
		if a.Mode != message.BodyUntilClose {
			out = AppendRefusal(out, &message.Refusal{Status: 503}, message.Response{Minor: 1, Close: true}, &benchDefaults)
		}
		in := bufio.NewReader(bytes.NewReader(out))
		request := &http.Request{Method: map[bool]string{false: "GET", true: "HEAD"}[a.HEAD]}
		first, err := http.ReadResponse(in, request)
		if err != nil {
			if strings.Contains(strings.ToLower(name1+name2), "trailer") {
				return // net/http interprets it
			}
			t.Fatalf("%v in %q", err, out)
		}
		if read, err := io.ReadAll(first.Body); string(read) != body || err != nil {
			t.Fatalf("body %q, %v in %q", read, err, out)
		}
		if a.Mode == message.BodyUntilClose {
			return
		}
		if second, err := http.ReadResponse(in, request); err != nil || second.StatusCode != 503 {
			t.Fatalf("%v: the second response is lost in %q", err, out)
		}
	})
}

// checkLines: there are as many lines as intended, and the app's values added none.
func checkLines(t *testing.T, head []byte, fromApp string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	if len(lines) > 1+2+2+3 || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
		t.Fatalf("%q of %q", head, fromApp)
	}
}

// appendBody sends body as the framing requires, with trailers where allowed, and returns the part that the peer should see.
func appendBody(out []byte, a *message.Response, body string, trailers []byte) ([]byte, string) {
	switch a.Mode {
	case message.BodyNone:
		return out, ""
	case message.BodyLength:
		body = strings.Repeat("x", int(a.ContentLength))
	case message.BodyChunked:
		if len(body) > 0 {
			out = append(append(AppendChunkHeader(out, len(body)), body...), "\r\n"...)
		}
		if len(trailers) > 1<<10 { // net/http accepts no more than its buffer holds
			trailers = nil
		}
		out, _, err := AppendTrailers(out, trailers, true, true)
		if err != nil {
			out = append(out, LastChunk...)
		}
		return out, body
	}
	return append(out, body...), body
}
