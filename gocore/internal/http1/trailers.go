// Trailer fields: what follows the last chunk of an answer.  per request

package http1

// lastSize is the size of the chunk that ends a body; trailer fields and an empty line follow (RFC 9112 7.1).
const lastSize = "0\r\n"

// barred are fields that mean something before the body is read, or to whom the message is: they are no trailers
// (RFC 9110 6.5.1).
var barred = [...]string{
	"transfer-encoding", "content-length", "trailer", "te", "connection", "keep-alive", "upgrade", "host",
	"content-encoding", "content-type", "content-range", "cache-control", "age", "date", "expires", "vary", "location",
	"retry-after", "set-cookie", "authorization", "www-authenticate", "proxy-authenticate", "proxy-authorization",
}

// AppendTrailers appends trailer fields, encoded as for AppendHead: behind the last chunk's size when they are the first,
// and with the empty line when they are the last. One that may not be a trailer is left out, and is the value of leftOut.
//
// The error is one of AppendHead's; dst then is as it was.
func AppendTrailers(dst, fields []byte, first, last bool) (out []byte, leftOut string, err error) {
	w := writer{b: dst}
	if first {
		w.b = append(w.b, lastSize...)
	}
	for len(fields) > 0 {
		name, value, rest, ok := cutField(fields)
		switch {
		case !ok:
			return dst, "", errEncoding
		case !IsToken(name):
			return dst, "", ErrName
		case !isText(value):
			return dst, "", ErrValue
		case isBarred(name):
			leftOut = string(name)
		default:
			w.line(name, value)
		}
		fields = rest
	}
	if last {
		w.b = append(w.b, "\r\n"...)
	}
	return w.b, leftOut, nil
}

func isBarred(name []byte) bool {
	for _, b := range barred {
		if equalFold(name, b) {
			return true
		}
	}
	return false
}
