// All errors of a peer, as static values.

package http1

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// more means "needs more" between the functions of this package, which never returns it.
var more = &message.Refusal{Reason: "needs more"}

// Not HTTP/1 at all, each with its own log message.
var (
	TLSHello     = &message.Refusal{Status: 400, Reason: "TLS ClientHello on a plain HTTP port", Section: "RFC 8446 5.1"}
	HTTP2Preface = &message.Refusal{Status: 505, Reason: "HTTP/2 connection preface", Section: "RFC 9113 3.4"}
	OldHTTP      = &message.Refusal{Status: 400, Reason: "request line without a version (HTTP/0.9)", Section: "RFC 9112 3"}
)

// Lines.
var (
	bareCR       = &message.Refusal{Status: 400, Reason: "CR without LF in head", Section: "RFC 9112 2.2"}
	bareLF       = &message.Refusal{Status: 400, Reason: "bare LF in head", Section: "RFC 9112 2.2"}
	EmptyLines   = &message.Refusal{Status: 400, Reason: "too many empty lines before the request", Section: "RFC 9112 2.2", Limit: limits.MaxLeadingEmptyLines}
	HeadTooLarge = &message.Refusal{Status: 431, Reason: "head over max_request_head", Section: "RFC 6585 5"}
)

// Request line.
var (
	LineTooLong    = &message.Refusal{Status: 414, Reason: "request line over max_request_line", Section: "RFC 9112 3"}
	MethodTooLong  = &message.Refusal{Status: 501, Reason: "method too long", Section: "RFC 9112 3", Limit: limits.MaxMethodBytes}
	badMethod      = &message.Refusal{Status: 400, Reason: "method is not a token followed by a space", Section: "RFC 9112 3.1"}
	emptyTarget    = &message.Refusal{Status: 400, Reason: "two spaces, or no target, in request line", Section: "RFC 9112 3"}
	badTarget      = &message.Refusal{Status: 400, Reason: "octet not allowed in request target", Section: "RFC 9112 3.2"}
	fragment       = &message.Refusal{Status: 400, Reason: "fragment in request target", Section: "RFC 9112 3.2"}
	badForm        = &message.Refusal{Status: 400, Reason: "request target has no form that fits the method", Section: "RFC 9112 3.2"}
	badScheme      = &message.Refusal{Status: 400, Reason: "scheme of request target is neither http nor https", Section: "RFC 9112 3.2.2"}
	badAuthority   = &message.Refusal{Status: 400, Reason: "authority of request target is not host and port", Section: "RFC 9110 4.2"}
	badVersion     = &message.Refusal{Status: 400, Reason: "malformed HTTP version", Section: "RFC 9112 2.3"}
	unknownVersion = &message.Refusal{Status: 505, Reason: "HTTP version is neither 1.0 nor 1.1", Section: "RFC 9110 15.6.6"}
)

// Field lines.
var (
	TooManyFields  = &message.Refusal{Status: 431, Reason: "fields over max_request_fields", Section: "RFC 6585 5"}
	leadingSpace   = &message.Refusal{Status: 400, Reason: "whitespace before the first field", Section: "RFC 9112 2.2"}
	foldedLine     = &message.Refusal{Status: 400, Reason: "obsolete line folding", Section: "RFC 9112 5.2"}
	emptyName      = &message.Refusal{Status: 400, Reason: "field without a name", Section: "RFC 9110 5.1"}
	spaceInName    = &message.Refusal{Status: 400, Reason: "whitespace in or after a field name", Section: "RFC 9112 5.1"}
	noColon        = &message.Refusal{Status: 400, Reason: "field line without a colon", Section: "RFC 9112 5"}
	badName        = &message.Refusal{Status: 400, Reason: "octet not allowed in field name", Section: "RFC 9110 5.1"}
	controlInValue = &message.Refusal{Status: 400, Reason: "control octet in field value", Section: "RFC 9110 5.5"}
)

// Meaning of fields.
var (
	noHost          = &message.Refusal{Status: 400, Reason: "no host field", Section: "RFC 9112 3.2"}
	twoHosts        = &message.Refusal{Status: 400, Reason: "more than one host field", Section: "RFC 9112 3.2"}
	badHost         = &message.Refusal{Status: 400, Reason: "malformed host field", Section: "RFC 9112 3.2"}
	twoLengths      = &message.Refusal{Status: 400, Reason: "more than one content-length field", Section: "RFC 9112 6.3"}
	badLength       = &message.Refusal{Status: 400, Reason: "malformed content-length", Section: "RFC 9110 8.6"}
	hugeLength      = &message.Refusal{Status: 400, Reason: "content-length beyond 63 bits", Section: "RFC 9110 8.6"}
	lengthAndCoding = &message.Refusal{Status: 400, Reason: "content-length together with transfer-encoding", Section: "RFC 9112 6.3"}
	codingInOld     = &message.Refusal{Status: 400, Reason: "transfer-encoding in an HTTP/1.0 request", Section: "RFC 9112 6.1"}
	twoCodings      = &message.Refusal{Status: 400, Reason: "more than one transfer-encoding field", Section: "RFC 9112 6.1"}
	badCoding       = &message.Refusal{Status: 400, Reason: "transfer-encoding does not end in a single chunked", Section: "RFC 9112 6.3"}
	unknownCoding   = &message.Refusal{Status: 501, Reason: "transfer coding other than chunked", Section: "RFC 9112 6.1"}
	unknownExpect   = &message.Refusal{Status: 417, Reason: "expectation other than 100-continue", Section: "RFC 9110 10.1.1"}
)

// Chunked bodies.
var (
	badChunkSize     = &message.Refusal{Status: 400, Reason: "malformed chunk size line", Section: "RFC 9112 7.1"}
	HugeChunk        = &message.Refusal{Status: 400, Reason: "too many digits in chunk size", Section: "RFC 9112 7.1", Limit: limits.MaxChunkSizeDigits}
	badExtension     = &message.Refusal{Status: 400, Reason: "malformed chunk extension", Section: "RFC 9112 7.1.1"}
	ExtensionTooLong = &message.Refusal{Status: 400, Reason: "chunk extension too long", Section: "RFC 9112 7.1.1", Limit: limits.MaxChunkExtensionBytes}
	badChunkEnd      = &message.Refusal{Status: 400, Reason: "chunk data not followed by CRLF", Section: "RFC 9112 7.1"}
	badTrailer       = &message.Refusal{Status: 400, Reason: "malformed trailer field", Section: "RFC 9112 7.1.2"}
	TrailerTooLarge  = &message.Refusal{Status: 431, Reason: "trailer section too large", Section: "RFC 6585 5", Limit: limits.MaxTrailerBytes}
)
