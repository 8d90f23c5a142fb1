// What is refused and why: every way a peer can be wrong, as static values.  per process

package http1

import (
	"strconv"

	"saltare/gocore/internal/limits"
)

// Refusal is an error of the peer. All of them are package variables, so they compare by pointer
// and cost nothing to return. After one the connection's bytes have no meaning any more: answer
// and close.
type Refusal struct {
	Status  int    // of the answer
	Reason  string // for the log, without values
	Section string // the rule that was broken
	Limit   int    // the fixed limit that was passed, in octets or as a count; 0: none, or one with an option
	Fields  string // complete lines that the answer has besides
}

// Error words the refusal for the log. It allocates; the hot path never calls it.
func (r *Refusal) Error() string {
	text := r.Reason
	if r.Limit > 0 {
		text += ", the limit is " + strconv.Itoa(r.Limit)
	}
	return text + " (" + r.Section + ")"
}

// more says "needs more" between the functions of this package; it never leaves it.
var more = &Refusal{Reason: "needs more"}

// Not HTTP/1 at all: worth a word of their own in the log.
var (
	TLSHello     = &Refusal{Status: 400, Reason: "TLS ClientHello on a plain HTTP port", Section: "RFC 8446 5.1"}
	HTTP2Preface = &Refusal{Status: 505, Reason: "HTTP/2 connection preface", Section: "RFC 9113 3.4"}
	OldHTTP      = &Refusal{Status: 400, Reason: "request line without a version (HTTP/0.9)", Section: "RFC 9112 3"}
)

// Lines.
var (
	bareCR       = &Refusal{Status: 400, Reason: "CR without LF in head", Section: "RFC 9112 2.2"}
	bareLF       = &Refusal{Status: 400, Reason: "bare LF in head", Section: "RFC 9112 2.2"}
	emptyLines   = &Refusal{Status: 400, Reason: "too many empty lines before the request", Section: "RFC 9112 2.2", Limit: limits.MaxLeadingEmptyLines}
	HeadTooLarge = &Refusal{Status: 431, Reason: "head over max_request_head", Section: "RFC 6585 5"}
)

// Request line.
var (
	LineTooLong    = &Refusal{Status: 414, Reason: "request line over max_request_line", Section: "RFC 9112 3"}
	methodTooLong  = &Refusal{Status: 501, Reason: "method too long", Section: "RFC 9112 3", Limit: limits.MaxMethodBytes}
	badMethod      = &Refusal{Status: 400, Reason: "method is not a token followed by a space", Section: "RFC 9112 3.1"}
	emptyTarget    = &Refusal{Status: 400, Reason: "two spaces, or no target, in request line", Section: "RFC 9112 3"}
	badTarget      = &Refusal{Status: 400, Reason: "octet not allowed in request target", Section: "RFC 9112 3.2"}
	fragment       = &Refusal{Status: 400, Reason: "fragment in request target", Section: "RFC 9112 3.2"}
	badForm        = &Refusal{Status: 400, Reason: "request target has no form that fits the method", Section: "RFC 9112 3.2"}
	badScheme      = &Refusal{Status: 400, Reason: "scheme of request target is neither http nor https", Section: "RFC 9112 3.2.2"}
	badAuthority   = &Refusal{Status: 400, Reason: "authority of request target is not host and port", Section: "RFC 9110 4.2"}
	badVersion     = &Refusal{Status: 400, Reason: "malformed HTTP version", Section: "RFC 9112 2.3"}
	unknownVersion = &Refusal{Status: 505, Reason: "HTTP version is neither 1.0 nor 1.1", Section: "RFC 9110 15.6.6"}
)

// Field lines.
var (
	TooManyFields  = &Refusal{Status: 431, Reason: "fields over max_request_fields", Section: "RFC 6585 5"}
	leadingSpace   = &Refusal{Status: 400, Reason: "whitespace before the first field", Section: "RFC 9112 2.2"}
	foldedLine     = &Refusal{Status: 400, Reason: "obsolete line folding", Section: "RFC 9112 5.2"}
	emptyName      = &Refusal{Status: 400, Reason: "field without a name", Section: "RFC 9110 5.1"}
	spaceInName    = &Refusal{Status: 400, Reason: "whitespace in or after a field name", Section: "RFC 9112 5.1"}
	noColon        = &Refusal{Status: 400, Reason: "field line without a colon", Section: "RFC 9112 5"}
	badName        = &Refusal{Status: 400, Reason: "octet not allowed in field name", Section: "RFC 9110 5.1"}
	controlInValue = &Refusal{Status: 400, Reason: "control octet in field value", Section: "RFC 9110 5.5"}
)

// What fields mean.
var (
	noHost          = &Refusal{Status: 400, Reason: "no host field", Section: "RFC 9112 3.2"}
	twoHosts        = &Refusal{Status: 400, Reason: "more than one host field", Section: "RFC 9112 3.2"}
	badHost         = &Refusal{Status: 400, Reason: "malformed host field", Section: "RFC 9112 3.2"}
	twoLengths      = &Refusal{Status: 400, Reason: "more than one content-length field", Section: "RFC 9112 6.3"}
	badLength       = &Refusal{Status: 400, Reason: "malformed content-length", Section: "RFC 9110 8.6"}
	hugeLength      = &Refusal{Status: 400, Reason: "content-length beyond 63 bits", Section: "RFC 9110 8.6"}
	lengthAndCoding = &Refusal{Status: 400, Reason: "content-length together with transfer-encoding", Section: "RFC 9112 6.3"}
	codingInOld     = &Refusal{Status: 400, Reason: "transfer-encoding in an HTTP/1.0 request", Section: "RFC 9112 6.1"}
	twoCodings      = &Refusal{Status: 400, Reason: "more than one transfer-encoding field", Section: "RFC 9112 6.1"}
	badCoding       = &Refusal{Status: 400, Reason: "transfer-encoding does not end in a single chunked", Section: "RFC 9112 6.3"}
	unknownCoding   = &Refusal{Status: 501, Reason: "transfer coding other than chunked", Section: "RFC 9112 6.1"}
	unknownExpect   = &Refusal{Status: 417, Reason: "expectation other than 100-continue", Section: "RFC 9110 10.1.1"}
)

// Chunked bodies.
var (
	badChunkSize     = &Refusal{Status: 400, Reason: "malformed chunk size line", Section: "RFC 9112 7.1"}
	hugeChunk        = &Refusal{Status: 400, Reason: "too many digits in chunk size", Section: "RFC 9112 7.1", Limit: limits.MaxChunkSizeDigits}
	badExtension     = &Refusal{Status: 400, Reason: "malformed chunk extension", Section: "RFC 9112 7.1.1"}
	extensionTooLong = &Refusal{Status: 400, Reason: "chunk extension too long", Section: "RFC 9112 7.1.1", Limit: limits.MaxChunkExtensionBytes}
	badChunkEnd      = &Refusal{Status: 400, Reason: "chunk data not followed by CRLF", Section: "RFC 9112 7.1"}
	badTrailer       = &Refusal{Status: 400, Reason: "malformed trailer field", Section: "RFC 9112 7.1.2"}
	trailerTooLarge  = &Refusal{Status: 431, Reason: "trailer section too large", Section: "RFC 6585 5", Limit: limits.MaxTrailerBytes}
)
