// What a line costs.

package accesslog

import (
	"testing"
	"time"
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/transport"
)

const browser = "GET /items/42?page=3 HTTP/1.1\r\nhost: example.org\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"accept: */*\r\nreferer: https://example.org/items\r\n\r\n"

// described is a request as the server describes it.
func described(t testing.TB, head string) *handoff.Request {
	t.Helper()
	buf := []byte(head)
	h := http1.Head{Limits: http1.DefaultLimits, Fields: make([]http1.Field, 0, 64)}
	if n, refusal := http1.ParseHead(&h, buf, 0); n != len(buf) {
		t.Fatalf("%q: %v", head, refusal)
	}
	r := &handoff.Request{Head: handoff.Pointer(buf), Method: h.Method, RawPath: h.Path, Query: h.Query, Minor: uint32(h.Minor),
		NFields: uint32(len(h.Fields)), Client: handoff.Address{IP: [16]byte{192, 0, 2, 7}, Port: 4711, Family: handoff.FamilyInet}}
	if len(h.Fields) > 0 {
		r.Fields = pointer(&h.Fields[0])
	}
	t.Cleanup(func() { _, _ = buf[0], h.Fields[:1] }) // the view holds addresses only
	return r
}

// logTo opens a log of that format in a file.
func logTo(t testing.TB, path, format string) *Log {
	t.Helper()
	l, err := New(Config{Format: format, Path: path}, new(transport.Clock))
	if err != nil {
		t.Fatal(err)
	}
	l.clock.Open(time.Unix(1, 0))
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func BenchmarkLine(b *testing.B) {
	for _, format := range []string{"json", "combined", "uvicorn"} {
		b.Run(format, func(b *testing.B) {
			l, r := logTo(b, "/dev/null", format), described(b, browser)
			b.ReportAllocs()
			for b.Loop() {
				number := l.Begin(r, false)
				l.Answered(number)
				l.End(number, End{Status: 200, Out: 13})
				l.BeforeWait()
			}
		})
	}
}

func pointer(f *http1.Field) uintptr { return uintptr(unsafe.Pointer(f)) }

func BenchmarkTurn(b *testing.B) {
	l, r := logTo(b, "/dev/null", "json"), described(b, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n")
	var numbers [64]uint32
	b.ReportAllocs()
	for b.Loop() {
		for i := range numbers {
			numbers[i] = l.Begin(r, false)
		}
		for _, n := range numbers {
			l.Answered(n)
			l.End(n, End{Status: 200, Out: 13})
		}
		l.BeforeWait()
	}
}
