// The parser of request heads: bytes in, spans out.

// Package http1 is HTTP/1.0 and HTTP/1.1 without input or output (RFC 9110, RFC 9112): bytes in, values out; no sockets, no clocks, no
// goroutines. In the order of an exchange: ParseHead parses a request head, Chunked decodes a body, AppendHead writes and frames the
// response.
//
// Nothing here allocates, except to grow a buffer of the caller.
package http1

import (
	"bytes"
	"cmp"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// Span is a part of the buffer that was given to ParseHead.
type Span struct{ Off, Len uint32 }

// In returns the bytes of the span in the buffer that it refers to.
func (s Span) In(buf []byte) []byte { return buf[s.Off : s.Off+s.Len : s.Off+s.Len] }

func span(from, to int) Span { return Span{uint32(from), uint32(to - from)} }

// Field is one field line: the name in lower case, the value without whitespace around it.
type Field struct {
	Name, Value Span
	ID          uint32 // index in KnownNames; 0: unknown
}

// Head is a request head. Spans lie in the buffer given to ParseHead.
type Head struct {
	Method Span
	Target Span // as sent
	Path   Span // not decoded, without query; "*" of OPTIONS *; empty for CONNECT
	Query  Span // without "?"

	// Limits are set by the caller.
	Limits Limits

	// Fields keep the order and the repetitions of the lines. The caller provides the backing array, with a capacity of Limits.Fields;
	// it is never grown. In an absolute-form request the value of host is the authority of the target (RFC 9112 3.2.2).
	Fields []Field

	ContentLength    int64 // -1: not declared
	Minor            uint8 // HTTP/1.Minor, 0 or 1
	Chunked          bool  // the body is chunked; without, ContentLength -1 means no body
	KeepAlive        bool  // the peer wants to keep the connection open after this exchange
	ExpectContinue   bool  // the peer sends the body only after 100 (Continue)
	UpgradeWebSocket bool  // a GET that asks for WebSocket and has no body
	AcceptsCodings   bool  // the peer names a content coding that it accepts, besides identity
	Proxied          bool  // there is a field that proxies set
	PathEscaped      bool  // Path holds "%": see DecodePath
	IsHEAD           bool
	IsCONNECT        bool // Target is host:port; there is no path

	authority Span // of an absolute-form target
}

// Limits are the limits of a request head. The zero value refuses every request.
type Limits struct {
	HeadBytes int // including leading empty lines
	LineBytes int // of the request line, without its CRLF
	Fields    int // number of field lines
}

// DefaultLimits are those of package limits.
var DefaultLimits = Limits{limits.DefaultHeadBytes, limits.DefaultRequestLineBytes, limits.DefaultFields}

// OrDefaults replaces zeros by the defaults.
func (l Limits) OrDefaults() Limits {
	return Limits{cmp.Or(l.HeadBytes, DefaultLimits.HeadBytes), cmp.Or(l.LineBytes, DefaultLimits.LineBytes), cmp.Or(l.Fields, DefaultLimits.Fields)}
}

// ParseHead parses one request head at the start of buf. It makes field names in buf lower case in place, and neither reads nor
// writes octets after the head.
//
// scanned is the number of leading octets of buf in which an earlier call found no end of a head, 0 at first: no octet is searched
// twice, however small the pieces of the head are.
//
// Returns n > 0: a complete head of n octets, including leading empty lines. n == 0 and no refusal: the head is incomplete; call again
// with more and with scanned = len(buf). A refusal: an error of the peer; the content of h is then undefined. The result depends only
// on the octets of the head, never on how they were split. A head never needs a buffer larger than h.Limits.HeadBytes octets.
func ParseHead(h *Head, buf []byte, scanned int) (n int, r *message.Refusal) {
	most := h.Limits.HeadBytes
	b := buf[:min(len(buf), most)]
	if scanned > 0 && len(b) < most && !hasEmptyLine(b, scanned) {
		return 0, nil
	}
	n, r = h.parse(b)
	if r == nil {
		return n, nil
	}
	if r != more {
		return 0, r
	}
	if len(b) == most {
		return 0, HeadTooLarge
	}
	return 0, nil
}

// hasEmptyLine tells whether an empty line ends in b at scanned or later. It counts a bare LF as the end of a line, so it finds every
// end, including those that are refused.
func hasEmptyLine(b []byte, scanned int) bool {
	for i := max(0, min(scanned, len(b))-2); ; {
		lf := bytes.IndexByte(b[i:], '\n')
		if lf < 0 {
			return false
		}
		i += lf + 1
		if i < len(b) && b[i] == '\n' || i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return true
		}
	}
}

func (h *Head) parse(b []byte) (int, *message.Refusal) {
	*h = Head{Limits: h.Limits, Fields: h.Fields[:0], ContentLength: -1}
	i, r := skipEmptyLines(b)
	if r != nil {
		return 0, r
	}
	if i, r = h.requestLine(b, i); r != nil {
		return 0, r
	}
	var m meaning
	if i, r = h.fieldLines(b, i, &m); r != nil {
		return 0, r
	}
	return i, h.derive(b, &m)
}

// skipEmptyLines returns the index of the first octet of the request line (RFC 9112 2.2).
func skipEmptyLines(b []byte) (int, *message.Refusal) {
	i := 0
	for lines := 0; ; lines++ {
		if i >= len(b) {
			return 0, more
		}
		if b[i] != '\r' && b[i] != '\n' {
			return i, nil
		}
		next, r := lineEnd(b, i)
		if r != nil {
			return 0, r
		}
		if lines == limits.MaxLeadingEmptyLines {
			return 0, EmptyLines
		}
		i = next
	}
}

// lineEnd checks the CRLF at i and returns the index after it. RFC 9112 2.2 also allows a bare LF, but recipients that disagree on
// where a line ends make request smuggling possible.
func lineEnd(b []byte, i int) (int, *message.Refusal) {
	if b[i] == '\n' {
		return 0, bareLF
	}
	if i+1 >= len(b) {
		return 0, more
	}
	if b[i+1] != '\n' {
		return 0, bareCR
	}
	return i + 2, nil
}
