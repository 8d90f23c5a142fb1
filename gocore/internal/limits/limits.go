// Package limits: every number of the core, once, with its unit, its reason and its price.
//
// The sections follow a request: its head, its body, its response. A number that an option can change stands here as the default; the
// others are fixed.
package limits

// Request head.
const (
	// DefaultHeadBytes is the largest request head in octets (max_request_head): leading empty lines, request line, field lines and the
	// empty line at the end. Larger: 431. A browser sends 1 KiB, cookies and single sign-on tokens add several, and other servers accept
	// as much. MostHeadBytes is the largest value of the option. Price: the largest buffer that a connection holds while its head
	// arrives, and the memory that a turn reads into.
	DefaultHeadBytes = 64 << 10
	MostHeadBytes    = 1 << 20

	// DefaultRequestLineBytes is the longest request line in octets, without its CRLF (max_request_line). Longer: 414. RFC 9112 3
	// recommends at least 8,000. Price: a share of the head, and as much room for the decoded path.
	DefaultRequestLineBytes = 16 << 10
	MostRequestLineBytes    = 64 << 10

	// MaxMethodBytes is the longest method in octets. Longer: 501 (RFC 9112 3). The longest registered method, UPDATEREDIRECTREF, has
	// 17. Price: none.
	MaxMethodBytes = 24

	// DefaultFields is the largest number of field lines (max_request_fields). More: 431. Browsers send 15, chains of proxies add 20.
	// Price: 20 octets for each field line, until the end of the turn.
	DefaultFields = 256
	MostFields    = 4096

	// MaxLeadingEmptyLines is how many CRLF before a request line are skipped. More: 400. RFC 9112 2.2 asks for one, which old clients
	// send after a POST body. Price: none.
	MaxLeadingEmptyLines = 4
)

// Proxies.
const (
	// MaxHops is how many proxies of a list are believed, the nearest ones. Chains have two or three. Price: 28 octets of stack each.
	MaxHops = 32

	// MaxProxyHeaderBytes is the longest header of the PROXY protocol. Larger: the connection is closed. The addresses take at most 232
	// octets; further values, such as a client's certificate, some thousand. Price: the largest buffer that a connection holds while its
	// header arrives.
	MaxProxyHeaderBytes = 16 << 10
)

// Names of requests.
const (
	// RequestIDBytes is the longest request id that is taken from a proxy. A longer one is replaced. UUIDs have 36 octets, and ids that
	// are made of several parts up to 100. TraceparentBytes is the length of a traceparent. Price: as many octets for each request in
	// progress, while request_id_header or traceparent_propagation is on.
	RequestIDBytes   = 128
	TraceparentBytes = 55

	// RandomBytes is how many random octets one system call gets: those of 64 ids. Price: that memory, with the same options.
	RandomBytes = 1 << 10
)

// Request body.
const (
	// MaxChunkSizeDigits is the longest chunk size in hex digits, including leading zeros. Longer: 400. 15 digits are less than 2^60
	// octets, so a size never overflows an int64. Price: none.
	MaxChunkSizeDigits = 15

	// MaxChunkExtensionBytes is the most octets of extensions of one chunk. More: 400. The extensions in actual use are signatures of
	// some 85 octets. Price: none, they are dropped as they arrive; the limit bounds what a peer can make us read for one octet of body.
	MaxChunkExtensionBytes = 256

	// MaxTrailerBytes is the most octets in the trailer section of a chunked body. More: 431. A few checksums and signatures fit. Price:
	// none, they are dropped as they arrive.
	MaxTrailerBytes = 4 << 10
)

// Response.
const (
	// ResponseOverheadBytes is the room in octets that AppendHead needs besides the app's fields and the defaults: status line (up to 46),
	// framing and connection fields (up to 61), empty line. Price: none, the room is in the output buffer.
	ResponseOverheadBytes = 128
)

// Relations that other code relies on, checked at compile time.
const (
	_ = uint(DefaultHeadBytes - DefaultRequestLineBytes - 2 - 2)           // the longest request line leaves room for a head
	_ = uint(DefaultRequestLineBytes - MaxMethodBytes - 12)                // "M / HTTP/1.1" fits in addition to the longest method
	_ = uint(60 - 4*MaxChunkSizeDigits)                                    // a chunk size fits an int64
	_ = uint(1<<16 - 1 - MaxTrailerBytes)                                  // the chunked decoder counts in 16 bits
	_ = uint(DefaultHeadBytes - DefaultFields*4 - DefaultRequestLineBytes) // that many of the shortest fields ("a:\r\n") fit
	_ = uint(DefaultHeadBytes - 2*MaxLeadingEmptyLines - 2 - 2)            // leading empty lines leave room
	_ = uint(MostHeadBytes - DefaultHeadBytes)                             // an option can be set to its default
	_ = uint(MostRequestLineBytes - DefaultRequestLineBytes)
	_ = uint(MostFields - DefaultFields)
)
