// Nothing in the handling of a request allocates.

package http1

import (
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

func TestAllocations(t *testing.T) {
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	browser, bad := []byte(browserHead), []byte("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n")
	body := []byte("5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n")
	fields := encode("content-type", "text/html", "connection", "close", "x-custom", "value")
	dst := make([]byte, 0, 4<<10)
	for name, f := range map[string]func(){
		"ParseHead":     func() { ParseHead(&h, browser, 0) },
		"ParseHead bad": func() { ParseHead(&h, bad, 0) },
		"ParseHead cut": func() { ParseHead(&h, browser[:500], 0); ParseHead(&h, browser[:600], 500) },
		"Chunked": func() {
			var c Chunked
			_, _, _, _ = c.Next(body)
		},
		"DecodePath": func() { DecodePath(dst, []byte("/a%20b")) },
		"AppendHead": func() {
			a := message.Response{Status: 404, Minor: 1}
			_, _ = AppendHead(dst, &a, fields, &benchDefaults)
		},
		"AppendRefusal":     func() { AppendRefusal(dst, badHost, message.Response{Minor: 1, Close: true}, &benchDefaults) },
		"AppendChunkHeader": func() { AppendChunkHeader(dst, 65536) },
		"AppendDate":        func() { AppendDate(dst, 784111777) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
