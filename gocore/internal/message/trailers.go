// Which fields may follow a body.

package message

import "saltare/gocore/internal/octet"

// barred fields must not be trailers (RFC 9110 6.5.1): the reader needs them before the body, or to route the message.
var barred = [...]string{
	"transfer-encoding", "content-length", "trailer", "te", "connection", "keep-alive", "upgrade", "host",
	"content-encoding", "content-type", "content-range", "cache-control", "age", "date", "expires", "vary", "location",
	"retry-after", "set-cookie", "authorization", "www-authenticate", "proxy-authenticate", "proxy-authorization",
}

// IsTrailer tells whether the field may be a trailer.
func IsTrailer(name []byte) bool {
	for _, b := range barred {
		if octet.EqualFold(name, b) {
			return false
		}
	}
	return true
}
