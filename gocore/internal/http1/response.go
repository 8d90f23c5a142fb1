// Writing the head of a response: status line, the app's fields, the server's fields.

package http1

import (
	"slices"
	"strconv"
	"time"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

// AppendHead appends the head of the response to dst and fills in a.Mode, a.ContentLength and a.Close.
//
// fields are the app's, each as { uint32 name length; uint32 value length; name; value }, little-endian and unpadded. They are written
// in their order, except those that this package decides about: content-length, transfer-encoding, and the options close and keep-alive
// of connection. An interim response has only the app's fields, and for a 1.0 request none is written (RFC 9110 15.2).
//
// The error is one of package message's; dst is then unchanged, and nothing has been decided.
func AppendHead(dst []byte, a *message.Response, fields []byte, d *message.Defaults) ([]byte, error) {
	if a.Status < 100 || a.Status > 999 {
		return dst, message.ErrStatus
	}
	w := writer{Judge: message.Judge{Response: *a}}
	w.ContentLength = -1
	w.b = slices.Grow(dst, limits.ResponseOverheadBytes+len(fields)+len(d.Date)+len(d.Server)+len(d.Extra))
	w.b = appendStatusLine(w.b, int(a.Status))
	if err := w.appFields(fields); err != nil {
		return dst, err
	}
	if a.Whole {
		w.Measure(a.ContentLength)
	}
	w.Frame()
	*a = w.Response
	if a.Status >= 200 {
		w.defaults(d)
		w.framingFields()
	} else if a.Minor == 0 {
		return dst, nil
	}
	return append(w.b, "\r\n"...), nil
}

// AppendUpgrade appends the head of a 101 response: own, which is complete lines, then fields and defaults as in AppendHead.
func AppendUpgrade(dst, own, fields []byte, d *message.Defaults) ([]byte, error) {
	w := writer{b: append(appendStatusLine(dst, message.Switching), own...), Judge: message.Judge{Response: message.Response{Status: message.Switching, Minor: 1}}}
	if err := w.appFields(fields); err != nil {
		return dst, err
	}
	w.defaults(d)
	return append(w.b, "\r\n"...), nil
}

// writer is the head of a response while it is written.
type writer struct {
	message.Judge
	b []byte
}

func (w *writer) appFields(fields []byte) error {
	for len(fields) > 0 {
		name, value, rest, ok := message.CutField(fields)
		if !ok {
			return message.ErrEncoding
		}
		keep, err := w.Take(name, value)
		if err != nil {
			return err
		}
		if fields = rest; keep {
			w.line(name, value)
		}
	}
	return nil
}

func (w *writer) line(name, value []byte) {
	w.b = append(w.b, name...)
	w.b = append(w.b, ": "...)
	w.b = append(w.b, value...)
	w.b = append(w.b, "\r\n"...)
}

func (w *writer) defaults(d *message.Defaults) {
	if !w.HasDate {
		w.b = append(w.b, d.Date...)
	}
	if !w.HasServer {
		w.b = append(w.b, d.Server...)
	}
	w.b = append(w.b, d.Extra...)
}

// framingFields writes the fields that frame the body.
func (w *writer) framingFields() {
	a := &w.Response
	if a.ContentLength >= 0 {
		w.b = append(w.b, "content-length: "...)
		w.b = strconv.AppendInt(w.b, a.ContentLength, 10)
		w.b = append(w.b, "\r\n"...)
	}
	if a.Mode == message.BodyChunked {
		w.b = append(w.b, "transfer-encoding: chunked\r\n"...)
	}
	switch {
	case a.Close:
		w.b = append(w.b, "connection: close\r\n"...)
	case a.Minor == 0:
		w.b = append(w.b, "connection: keep-alive\r\n"...)
	}
}

// LastChunk ends a chunked body without trailer fields.
const LastChunk = lastSize + "\r\n"

// AppendChunkHeader appends what precedes a chunk of size octets; size is not 0. CRLF follows each chunk, LastChunk the last one.
func AppendChunkHeader(dst []byte, size int) []byte {
	return append(strconv.AppendUint(dst, uint64(size), 16), "\r\n"...)
}

// AppendRefusal appends a complete response in place of the app's, to a request of which a has Minor, HEAD and Close. Its text names the
// status.
func AppendRefusal(dst []byte, r *message.Refusal, a message.Response, d *message.Defaults) []byte {
	text := Phrase(r.Status)
	w := writer{b: appendStatusLine(dst, r.Status)}
	w.Response = message.Response{Status: uint16(r.Status), Minor: a.Minor, Close: a.Close, ContentLength: int64(len(text)) + 1}
	w.b = append(w.b, "content-type: text/plain; charset=utf-8\r\n"...)
	w.b = append(w.b, r.Fields...)
	w.defaults(d)
	w.framingFields()
	w.b = append(w.b, "\r\n"...)
	if a.HEAD { // RFC 9110 9.3.2
		return w.b
	}
	w.b = append(w.b, text...)
	return append(w.b, '\n')
}

// RefusalBytes is the size of the body of a refusal.
func RefusalBytes(status int) int { return len(Phrase(status)) + 1 }

// AppendDate appends the date line for a time in seconds since 1970 (RFC 9110 5.6.7).
func AppendDate(dst []byte, unix int64) []byte {
	return time.Unix(unix, 0).UTC().AppendFormat(dst, "date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")
}
