// The request head: bytes in, spans out.

// Package http1 is HTTP/1.0 and HTTP/1.1 without input or output (RFC 9110, RFC 9112): bytes in,
// values out; no sockets, no clocks, no goroutines. In the order of an exchange: ParseHead reads a
// request head, Chunked takes a body apart, AppendHead writes and frames the response.
//
// Nothing here allocates but the growth of a buffer that the caller handed in.
package http1

import (
	"bytes"
	"cmp"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// Span is a piece of the buffer that was given to ParseHead.
type Span struct{ Off, Len uint32 }

// In cuts the span out of the buffer it was made from.
func (s Span) In(buf []byte) []byte { return buf[s.Off : s.Off+s.Len : s.Off+s.Len] }

func span(from, to int) Span { return Span{uint32(from), uint32(to - from)} }

// Field is one field line: the name in lower case, the value without whitespace around it.
type Field struct {
	Name, Value Span
	ID          uint32 // index in KnownNames; 0: not there
}

// Head is a request head. Spans lie in the buffer given to ParseHead.
type Head struct {
	Method Span
	Target Span // as sent
	Path   Span // still escaped, without query; "*" of OPTIONS *; empty for CONNECT
	Query  Span // without "?"

	// Limits are the caller's.
	Limits Limits

	// Fields keep the order and the repeats of the lines. The caller gives the backing array, with
	// a capacity of Limits.Fields; it is never grown. In an absolute-form request the value of
	// host is the authority of the target, which RFC 9112 3.2.2 puts in its place.
	Fields []Field

	ContentLength    int64 // -1: not declared
	Minor            uint8 // HTTP/1.Minor, 0 or 1
	Chunked          bool  // the body is chunked; with ContentLength -1 and not Chunked there is none
	KeepAlive        bool  // the peer wants the connection to go on after this exchange
	ExpectContinue   bool  // the peer holds back a body until 100 (Continue)
	UpgradeWebSocket bool  // a GET that asks for WebSocket and has no body
	PathEscaped      bool  // Path holds "%": see DecodePath
	IsHEAD           bool
	IsCONNECT        bool // Target is host:port; there is no path to route by

	authority Span // of a target in absolute-form
}

// Limits are those of a request head. The zero value refuses every request.
type Limits struct {
	HeadBytes int // leading empty lines included
	LineBytes int // of the request line, without its CRLF
	Fields    int // lines
}

// DefaultLimits are those of package limits.
var DefaultLimits = Limits{limits.DefaultHeadBytes, limits.DefaultRequestLineBytes, limits.DefaultFields}

// OrDefaults has the default in place of each zero.
func (l Limits) OrDefaults() Limits {
	return Limits{cmp.Or(l.HeadBytes, DefaultLimits.HeadBytes), cmp.Or(l.LineBytes, DefaultLimits.LineBytes), cmp.Or(l.Fields, DefaultLimits.Fields)}
}

// ParseHead reads one request head from the start of buf. Field names in buf become lower case in
// place; octets after the head are neither read nor written.
//
// scanned is how many leading octets of buf an earlier call has already found to hold no end of a
// head, 0 at first: nothing is searched twice, however small the pieces are that a head comes in.
//
// Returns n > 0: a complete head of n octets, leading empty lines included. n == 0 and no refusal:
// the head goes on after buf; call again with more and with scanned = len(buf). A refusal: the
// peer's error; the content of h is then undefined. What is returned depends on the octets of the
// head only, never on the pieces it came in. A buffer of h.Limits.HeadBytes octets never needs more.
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

// hasEmptyLine says whether an empty line ends in b at scanned or later. With a bare LF counting
// as the end of a line it finds every end, and those that are refused.
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
	return i, h.settle(b, &m)
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
			return 0, emptyLines
		}
		i = next
	}
}

// lineEnd takes the CRLF at i and returns the index after it. RFC 9112 2.2 lets a recipient take a
// bare LF as well; recipients that disagree about where a line ends are what smuggling lives on.
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
