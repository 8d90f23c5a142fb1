// Trailer fields: what follows the last chunk of a response.

package http1

import "saltare/gocore/internal/message"

// lastSize is the size of the chunk that ends a body; trailer fields and an empty line follow (RFC 9112 7.1).
const lastSize = "0\r\n"

// AppendTrailers appends trailer fields, encoded as for AppendHead: after the last chunk's size if first, and with the empty line if
// last. A field that is not allowed as a trailer is left out; leftOut is its name.
//
// The error is one of AppendHead's; dst is then unchanged.
func AppendTrailers(dst, fields []byte, first, last bool) (out []byte, leftOut string, err error) {
	w := writer{b: dst}
	if first {
		w.b = append(w.b, lastSize...)
	}
	for len(fields) > 0 {
		name, value, rest, ok := message.CutField(fields)
		if !ok {
			return dst, "", message.ErrEncoding
		}
		switch err := message.CheckField(name, value); {
		case err != nil:
			return dst, "", err
		case message.IsTrailer(name):
			w.line(name, value)
		default:
			leftOut = string(name)
		}
		fields = rest
	}
	if last {
		w.b = append(w.b, "\r\n"...)
	}
	return w.b, leftOut, nil
}
