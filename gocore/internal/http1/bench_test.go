// The cost of parsing requests and writing responses; benchmarks/parser compares it with others.

package http1

import (
	"testing"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

const (
	smallHead = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"

	browserHead = "GET /static/app/main.css?v=20240811 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"126\", \"Not(A:Brand\";v=\"24\", \"Google Chrome\";v=\"126\"\r\n" +
		"sec-ch-ua-mobile: ?0\r\n" +
		"sec-ch-ua-platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: same-origin\r\n" +
		"Sec-Fetch-Mode: navigate\r\n" +
		"Sec-Fetch-User: ?1\r\n" +
		"Sec-Fetch-Dest: document\r\n" +
		"Referer: https://www.example.com/\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef\r\n" +
		"\r\n"
)

func benchmarkHead(b *testing.B, head string) {
	h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
	buf := make([]byte, len(head))
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, head)
		if n, r := ParseHead(&h, buf, 0); n != len(head) {
			b.Fatal(n, r)
		}
	}
}

func BenchmarkHeadSmall(b *testing.B)   { benchmarkHead(b, smallHead) }
func BenchmarkHeadBrowser(b *testing.B) { benchmarkHead(b, browserHead) }

var benchDefaults = message.Defaults{Date: AppendDate(nil, 784111777), Server: []byte("server: saltare/0.1.0\r\n")}

func BenchmarkAppendHead(b *testing.B) {
	fields := encode("content-type", "text/plain; charset=utf-8", "content-length", "13")
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		a := message.Response{Status: 200, Minor: 1}
		if out, err := AppendHead(dst, &a, fields, &benchDefaults); err != nil || len(out) == 0 {
			b.Fatal(err)
		}
	}
}

func benchmarkChunked(b *testing.B, size, count int) {
	var body []byte
	for range count {
		body = append(append(AppendChunkHeader(body, size), make([]byte, size)...), "\r\n"...)
	}
	body = append(body, LastChunk...)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var c Chunked
		for rest, done := body, false; !done; {
			_, n, over, r := c.Next(rest)
			if r != nil {
				b.Fatal(r)
			}
			rest, done = rest[n:], over
		}
	}
}

func BenchmarkChunksOf16(b *testing.B)   { benchmarkChunked(b, 16, 1000) }
func BenchmarkChunksOf4096(b *testing.B) { benchmarkChunked(b, 4096, 16) }
