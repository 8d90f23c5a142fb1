// Responses as sent, read back with net/http.

package http1

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"saltare/gocore/internal/message"
)

// encode writes name, value, name, value ... as the bridge does.
func encode(pairs ...string) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(pairs[i])))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(pairs[i+1])))
		b = append(append(b, pairs[i]...), pairs[i+1]...)
	}
	return b
}

// head is AppendHead to text, without the empty line.
func head(t *testing.T, a *message.Response, d *message.Defaults, pairs ...string) string {
	t.Helper()
	out, err := AppendHead([]byte("before"), a, encode(pairs...), d)
	if err != nil {
		t.Fatalf("%+v %q: %v", *a, pairs, err)
	}
	text, ok := strings.CutPrefix(string(out), "before")
	if !ok {
		t.Fatalf("%q", out)
	}
	return strings.TrimSuffix(text, "\r\n")
}

// The whole framing table: status, method, version and declared length, in all combinations
// that differ.
func TestFraming(t *testing.T) {
	const length, chunked, closing, keeping = "content-length: 5\r\n", "transfer-encoding: chunked\r\n", "connection: close\r\n", "connection: keep-alive\r\n"
	const zero = "content-length: 0\r\n"
	get11, get10 := message.Response{Minor: 1}, message.Response{}
	head11, head10 := message.Response{Minor: 1, HEAD: true}, message.Response{HEAD: true}
	for _, c := range []struct {
		status   uint16
		a        message.Response
		declared bool
		mode     message.BodyMode
		fields   string
	}{
		{200, get11, true, message.BodyLength, length},
		{200, get11, false, message.BodyChunked, chunked},
		{200, get10, true, message.BodyLength, length + keeping},
		{200, get10, false, message.BodyUntilClose, closing},
		{200, head11, true, message.BodyNone, length},
		{200, head11, false, message.BodyNone, ""},
		{200, head10, true, message.BodyNone, length + keeping},
		{200, head10, false, message.BodyNone, keeping},
		{500, get11, true, message.BodyLength, length},
		{204, get11, true, message.BodyNone, ""},
		{204, get11, false, message.BodyNone, ""},
		{204, get10, false, message.BodyNone, keeping},
		{204, head11, true, message.BodyNone, ""},
		{205, get11, true, message.BodyNone, zero},
		{205, get11, false, message.BodyNone, zero},
		{205, head11, false, message.BodyNone, zero},
		{304, get11, true, message.BodyNone, length},
		{304, get11, false, message.BodyNone, ""},
		{304, head11, true, message.BodyNone, length},
		{304, get10, false, message.BodyNone, keeping},
		{103, get11, true, message.BodyNone, ""},
		{103, get11, false, message.BodyNone, ""},
	} {
		a, pairs := c.a, []string{}
		a.Status = c.status
		if c.declared {
			pairs = []string{"content-length", "5"}
		}
		_, fields, _ := strings.Cut(head(t, &a, &message.Defaults{}, pairs...), "\r\n")
		if fields != c.fields || a.Mode != c.mode {
			t.Errorf("%d to %+v, declared %v: mode %d, %q; want mode %d, %q", c.status, c.a, c.declared, a.Mode, fields, c.mode, c.fields)
		}
		if closes := strings.Contains(fields, closing) || c.mode == message.BodyUntilClose; a.Close != closes {
			t.Errorf("%d to %+v, declared %v: Close %v", c.status, c.a, c.declared, a.Close)
		}
		if hasLength := strings.Contains(fields, "content-length"); hasLength != (a.ContentLength >= 0) {
			t.Errorf("%d to %+v, declared %v: ContentLength %d with %q", c.status, c.a, c.declared, a.ContentLength, fields)
		}
	}
}

// A body that is complete with the start has a length, if the app has not said how it is framed.
func TestTheLengthOfAWholeBody(t *testing.T) {
	get11, get10, head11 := message.Response{Minor: 1}, message.Response{}, message.Response{Minor: 1, HEAD: true}
	const chunked, five, zero, kept = "transfer-encoding: chunked\r\n", "content-length: 5\r\n", "content-length: 0\r\n", "connection: keep-alive\r\n"
	coded := []string{"Transfer-Encoding", "chunked"}
	for _, c := range []struct {
		status uint16
		a      message.Response
		size   int64
		pairs  []string
		fields string
	}{
		{200, get11, 5, nil, five},
		{200, get11, 0, nil, zero},
		{404, get11, 5, nil, five},
		{200, get10, 5, nil, five + kept},
		{200, head11, 5, nil, five},
		{200, head11, 0, nil, ""},
		{200, get11, 5, []string{"content-length", "7"}, "content-length: 7\r\n"},
		{200, get11, 5, coded, chunked},
		{200, get10, 5, coded, five + kept},
		{204, get11, 0, nil, ""},
		{205, get11, 0, nil, zero},
		{304, get11, 0, nil, ""},
		{304, get11, 0, []string{"content-length", "7"}, "content-length: 7\r\n"},
	} {
		a := c.a
		a.Status, a.Whole, a.ContentLength = c.status, true, c.size
		if _, fields, _ := strings.Cut(head(t, &a, &message.Defaults{}, c.pairs...), "\r\n"); fields != c.fields {
			t.Errorf("%d to %+v, %d octets, %q: %q, want %q", c.status, c.a, c.size, c.pairs, fields, c.fields)
		}
	}
}

func TestStatusLine(t *testing.T) {
	for status, want := range map[uint16]string{
		100: "HTTP/1.1 100 Continue\r\n", 200: "HTTP/1.1 200 OK\r\n", 404: "HTTP/1.1 404 Not Found\r\n",
		299: "HTTP/1.1 299 \r\n", 599: "HTTP/1.1 599 \r\n", 999: "HTTP/1.1 999 \r\n",
	} {
		line, _, _ := strings.Cut(head(t, &message.Response{Status: status, Minor: 1, HEAD: true}, &message.Defaults{}), "\n")
		if line+"\n" != want {
			t.Errorf("%q, want %q", line, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	d := message.Defaults{Date: []byte("date: D\r\n"), Server: []byte("server: S\r\n"), Extra: []byte("x-extra: 1\r\nx-extra: 2\r\n")}
	for _, c := range []struct {
		pairs []string
		want  string
	}{
		{nil, "date: D\r\nserver: S\r\nx-extra: 1\r\nx-extra: 2\r\n"},
		{[]string{"Date", "mine"}, "Date: mine\r\nserver: S\r\nx-extra: 1\r\nx-extra: 2\r\n"},
		{[]string{"SERVER", "mine"}, "SERVER: mine\r\ndate: D\r\nx-extra: 1\r\nx-extra: 2\r\n"},
		{[]string{"x-extra", "0", "dart", "a", "serves", "b"}, "x-extra: 0\r\ndart: a\r\nserves: b\r\ndate: D\r\nserver: S\r\nx-extra: 1\r\nx-extra: 2\r\n"},
	} {
		_, got, _ := strings.Cut(head(t, &message.Response{Status: 200, Minor: 1, HEAD: true}, &d, c.pairs...), "\r\n")
		if got != c.want {
			t.Errorf("%q: %q", c.pairs, got)
		}
	}
	if got := head(t, &message.Response{Status: 103, Minor: 1}, &d, "link", "</a>"); got != "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n" {
		t.Errorf("an interim response has more than the app's fields: %q", got)
	}
	if out, err := AppendHead([]byte("x"), &message.Response{Status: 103}, nil, &d); string(out) != "x" || err != nil {
		t.Errorf("an interim response to a 1.0 request: %q, %v", out, err)
	}
}

func TestConnectionOfTheApp(t *testing.T) {
	for _, c := range []struct {
		value, fields string
		closes        bool
	}{
		{"close", "connection: close\r\n", true},
		{"Close", "connection: close\r\n", true},
		{"keep-alive", "", false},
		{"keep-alive, close", "connection: close\r\n", true},
		{"upgrade", "connection: upgrade\r\n", false},
		{"upgrade, close", "connection: upgrade, close\r\nconnection: close\r\n", true},
		{"", "", false},
	} {
		a := message.Response{Status: 200, Minor: 1, HEAD: true}
		_, got, _ := strings.Cut(head(t, &a, &message.Defaults{}, "connection", c.value), "\r\n")
		if got != c.fields || a.Close != c.closes {
			t.Errorf("%q: %q, Close %v", c.value, got, a.Close)
		}
	}
}

func TestTransferEncodingOfTheAppIsDropped(t *testing.T) {
	a := message.Response{Status: 200, Minor: 1}
	got := head(t, &a, &message.Defaults{}, "Transfer-Encoding", "gzip", "content-length", "5")
	if got != "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n" || a.Mode != message.BodyLength {
		t.Errorf("%q, mode %d", got, a.Mode)
	}
}

func TestMistakesOfTheApp(t *testing.T) {
	for _, c := range []struct {
		pairs []string
		want  error
	}{
		{[]string{"content-length", "five"}, message.ErrContentLength},
		{[]string{"content-length", ""}, message.ErrContentLength},
		{[]string{"content-length", "-1"}, message.ErrContentLength},
		{[]string{"content-length", "5, 5"}, message.ErrContentLength},
		{[]string{"content-length", "9223372036854775808"}, message.ErrContentLength},
		{[]string{"content-length", "5", "Content-Length", "5"}, message.ErrContentLengths},
		{[]string{"", "v"}, message.ErrName},
		{[]string{"a b", "v"}, message.ErrName},
		{[]string{"a:", "v"}, message.ErrName},
		{[]string{"a\r\nb", "v"}, message.ErrName},
		{[]string{"caf\xe9", "v"}, message.ErrName},
		{[]string{"a", "v\r\nset-cookie: x"}, message.ErrValue},
		{[]string{"a", "v\n"}, message.ErrValue},
		{[]string{"a", "v\r"}, message.ErrValue},
		{[]string{"a", "\x00"}, message.ErrValue},
		{[]string{"a", "0123456789abcde\x7f"}, message.ErrValue},
	} {
		a := message.Response{Status: 200, Minor: 1, Close: true}
		out, err := AppendHead([]byte("x"), &a, encode(c.pairs...), &benchDefaults)
		if err != c.want || string(out) != "x" || a != (message.Response{Status: 200, Minor: 1, Close: true}) {
			t.Errorf("%q: %q, %v, %+v", c.pairs, out, err, a)
		}
	}
	for _, status := range []uint16{0, 99, 1000} {
		if out, err := AppendHead(nil, &message.Response{Status: status}, nil, &benchDefaults); err != message.ErrStatus || len(out) > 0 {
			t.Errorf("status %d: %q, %v", status, out, err)
		}
	}
	if _, err := AppendHead(nil, &message.Response{Status: 200}, encode("a", "b")[:9], &benchDefaults); err != message.ErrEncoding {
		t.Error(err)
	}
	if _, err := AppendHead(nil, &message.Response{Status: 200}, bytes.Repeat([]byte{0xff}, 16), &benchDefaults); err != message.ErrEncoding {
		t.Error(err)
	}
}

// readBack has net/http read the response as a client would.
func readBack(method string, raw []byte) (*http.Response, string, error) {
	request := &http.Request{Method: method}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), request)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestChunksReadBack(t *testing.T) {
	out, err := AppendHead(nil, &message.Response{Status: 200, Minor: 1}, encode("content-type", "text/plain"), &benchDefaults)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, size := range []int{1, 15, 16, 255, 4096, 65536} {
		piece := strings.Repeat("x", size)
		out = append(append(AppendChunkHeader(out, size), piece...), "\r\n"...)
		want.WriteString(piece)
	}
	response, body, err := readBack("GET", append(out, LastChunk...))
	if err != nil || body != want.String() || response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%v, %d octets, %v", response, len(body), err)
	}
}

func TestRefusalReadsBack(t *testing.T) {
	for _, status := range []int{400, 408, 413, 414, 417, 431, 500, 501, 503, 505, 599} {
		response, body, err := readBack("GET", AppendRefusal(nil, &message.Refusal{Status: status}, message.Response{Minor: 1, Close: true}, &benchDefaults))
		if err != nil {
			t.Fatal(status, err)
		}
		if response.StatusCode != status || !response.Close || body != Phrase(status)+"\n" {
			t.Errorf("%d: %+v %q", status, response, body)
		}
		if response.Header.Get("Date") == "" || response.Header.Get("Server") == "" {
			t.Errorf("%d: no defaults in %v", status, response.Header)
		}
	}
}

func TestDate(t *testing.T) {
	for unix, want := range map[int64]string{
		784111777: "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
		951782400: "date: Tue, 29 Feb 2000 00:00:00 GMT\r\n",
		0:         "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
	} {
		if got := string(AppendDate(nil, unix)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// RFC 9110 has changed some phrases that net/http keeps.
func TestPhrases(t *testing.T) {
	changed := map[int]string{
		413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable",
		418: "I'm a Teapot", 422: "Unprocessable Content",
	}
	for status := range 1000 {
		want, ok := changed[status]
		if !ok {
			want = http.StatusText(status)
		}
		if got := Phrase(status); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

func TestTrailers(t *testing.T) {
	for _, c := range []struct {
		pairs       []string
		first, last bool
		want        string
		leftOut     string
		err         error
	}{
		{nil, true, true, LastChunk, "", nil},
		{[]string{"a", "1", "B", ""}, true, true, "0\r\na: 1\r\nB: \r\n\r\n", "", nil},
		{[]string{"a", "1"}, true, false, "0\r\na: 1\r\n", "", nil},
		{[]string{"a", "1"}, false, false, "a: 1\r\n", "", nil},
		{nil, false, true, "\r\n", "", nil},
		{[]string{"a", "1", "Content-Length", "5"}, true, true, "0\r\na: 1\r\n\r\n", "Content-Length", nil},
		{[]string{"transfer-encoding", "chunked", "a", "1"}, true, true, "0\r\na: 1\r\n\r\n", "transfer-encoding", nil},
		{[]string{"a", "1", "b c", "1"}, true, true, "", "", message.ErrName},
		{[]string{"a", "1", "b", "1\r\nc: d"}, true, true, "", "", message.ErrValue},
	} {
		out, leftOut, err := AppendTrailers([]byte("before"), encode(c.pairs...), c.first, c.last)
		if string(out) != "before"+c.want || leftOut != c.leftOut || err != c.err {
			t.Errorf("%q: %q, %q, %v", c.pairs, out, leftOut, err)
		}
	}
}
