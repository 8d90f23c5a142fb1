// The head of an answer: status line, the app's fields, ours.  per request

package http1

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"time"

	"saltare/gocore/internal/limits"
)

// Answer is what framing depends on, and what it decides.
type Answer struct {
	Status        uint16
	Minor         uint8 // of the request
	HEAD, CONNECT bool  // method of the request
	Close         bool  // in: the server wants to close after this answer; out: it closes
	Mode          BodyMode
	ContentLength int64 // out: as sent, -1 when there is no such field
}

// Defaults are the fields that answers get without the app. Each is complete lines or nil.
type Defaults struct {
	Date   []byte // unless the app sends its own
	Server []byte // unless the app sends its own
	Extra  []byte // always
}

// Mistakes of the app.
var (
	ErrStatus         = errors.New("status is not between 100 and 999")
	ErrName           = errors.New("field name is not a token (RFC 9110 5.1)")
	ErrValue          = errors.New("control octet in field value (RFC 9110 5.5)")
	ErrContentLength  = errors.New("content-length is not a number (RFC 9110 8.6)")
	ErrContentLengths = errors.New("more than one content-length (RFC 9110 8.6)")
)

// errEncoding is a mistake of the bridge.
var errEncoding = errors.New("fields of an answer are cut short")

// AppendHead appends the head of the answer to dst and fills in a.Mode, a.ContentLength and a.Close.
//
// fields are the app's, each as { uint32 name length; uint32 value length; name; value }, little-endian
// and unpadded. They are written in their order, but for those that this package decides about:
// content-length, transfer-encoding, and the options close and keep-alive of connection. An interim
// answer gets the app's fields and nothing else, and for a 1.0 request none is written (RFC 9110 15.2).
//
// The error is one of those above; dst then is as it was, and nothing has been decided.
func AppendHead(dst []byte, a *Answer, fields []byte, d *Defaults) ([]byte, error) {
	if a.Status < 100 || a.Status > 999 {
		return dst, ErrStatus
	}
	w := writer{answer: *a}
	w.answer.ContentLength = -1
	w.b = slices.Grow(dst, limits.AnswerOverheadBytes+len(fields)+len(d.Date)+len(d.Server)+len(d.Extra))
	w.b = appendStatusLine(w.b, int(a.Status))
	if err := w.appFields(fields); err != nil {
		return dst, err
	}
	w.answer.frame()
	*a = w.answer
	if a.Status >= 200 {
		w.defaults(d)
		w.framingFields()
	} else if a.Minor == 0 {
		return dst, nil
	}
	return append(w.b, "\r\n"...), nil
}

// switching is the status of an answer after which the connection speaks another protocol (RFC 9110 15.2.2).
const switching = 101

// AppendUpgrade appends the head of such an answer: own, which are complete lines, then fields and defaults as of AppendHead.
func AppendUpgrade(dst, own, fields []byte, d *Defaults) ([]byte, error) {
	w := writer{b: append(appendStatusLine(dst, switching), own...), answer: Answer{Status: switching, Minor: 1}}
	if err := w.appFields(fields); err != nil {
		return dst, err
	}
	w.defaults(d)
	return append(w.b, "\r\n"...), nil
}

// writer is an answer's head under way.
type writer struct {
	b                  []byte
	answer             Answer
	hasDate, hasServer bool
}

func (w *writer) appFields(fields []byte) error {
	for len(fields) > 0 {
		name, value, rest, ok := cutField(fields)
		if !ok {
			return errEncoding
		}
		fields = rest
		if !IsToken(name) {
			return ErrName
		}
		if !isText(value) {
			return ErrValue
		}
		keep, err := w.judge(name, value)
		if err != nil {
			return err
		}
		if keep {
			w.line(name, value)
		}
	}
	return nil
}

// cutField takes the first field off the bridge's encoding.
func cutField(b []byte) (name, value, rest []byte, ok bool) {
	if len(b) < 8 {
		return nil, nil, nil, false
	}
	n, v := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	b = b[8:]
	if n+v > uint64(len(b)) {
		return nil, nil, nil, false
	}
	return b[:n], b[n : n+v], b[n+v:], true
}

// IsToken: a name that may stand in a head (RFC 9110 5.6.2).
func IsToken(name []byte) bool {
	for _, c := range name {
		if class[c]&token == 0 {
			return false
		}
	}
	return len(name) > 0
}

// isText: no control octet but HTAB, so that a value can't end its line or the head.
func isText(value []byte) bool {
	i := nextControl(value, 0)
	for i < len(value) && value[i] == '\t' {
		i = nextControl(value, i+1)
	}
	return i >= len(value)
}

func (w *writer) line(name, value []byte) {
	w.b = append(w.b, name...)
	w.b = append(w.b, ": "...)
	w.b = append(w.b, value...)
	w.b = append(w.b, "\r\n"...)
}

// judge says whether a field of the app is written as it is.
func (w *writer) judge(name, value []byte) (keep bool, err error) {
	if w.answer.Status == switching && namesUpgrade(name) {
		return false, nil
	}
	switch len(name) {
	case len("date"):
		w.hasDate = w.hasDate || equalFold(name, "date")
	case len("server"):
		w.hasServer = w.hasServer || equalFold(name, "server")
	case len("connection"):
		if equalFold(name, "connection") {
			return w.connection(value), nil
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return false, w.contentLength(value)
		}
	case len("transfer-encoding"):
		return !equalFold(name, "transfer-encoding"), nil
	}
	return true, nil
}

// namesUpgrade tells whether the field is one of those that an upgrade itself writes.
func namesUpgrade(name []byte) bool {
	return equalFold(name, "connection") || equalFold(name, "upgrade")
}

func (w *writer) contentLength(value []byte) error {
	if w.answer.ContentLength >= 0 {
		return ErrContentLengths
	}
	n, r := parseLength(trim(value))
	if r != nil {
		return ErrContentLength
	}
	w.answer.ContentLength = n
	return nil
}

// connection obeys close, and keeps a field that names more than persistence, such as upgrade.
func (w *writer) connection(value []byte) (keep bool) {
	for another := true; another; {
		var option []byte
		option, value, another = CutList(value)
		switch {
		case equalFold(option, "close"):
			w.answer.Close = true
		case len(option) > 0 && !equalFold(option, "keep-alive"):
			keep = true
		}
	}
	return keep
}

func (w *writer) defaults(d *Defaults) {
	if !w.hasDate {
		w.b = append(w.b, d.Date...)
	}
	if !w.hasServer {
		w.b = append(w.b, d.Server...)
	}
	w.b = append(w.b, d.Extra...)
}

// framingFields writes what was decided.
func (w *writer) framingFields() {
	a := &w.answer
	if a.ContentLength >= 0 {
		w.b = append(w.b, "content-length: "...)
		w.b = strconv.AppendInt(w.b, a.ContentLength, 10)
		w.b = append(w.b, "\r\n"...)
	}
	if a.Mode == BodyChunked {
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

// AppendChunkHeader appends what goes before a chunk of size octets; size is not 0. After the chunk
// goes CRLF, after the last one LastChunk.
func AppendChunkHeader(dst []byte, size int) []byte {
	return append(strconv.AppendUint(dst, uint64(size), 16), "\r\n"...)
}

// AppendRefusal appends a complete answer in place of the app's to a request of that method, "" when
// it is not known: text that names the status, after which the connection closes.
func AppendRefusal(dst []byte, r *Refusal, method string, d *Defaults) []byte {
	text := phrase(r.Status)
	w := writer{b: appendStatusLine(dst, r.Status)}
	w.answer = Answer{Status: uint16(r.Status), Minor: 1, Close: true, ContentLength: int64(len(text)) + 1}
	w.b = append(w.b, "content-type: text/plain; charset=utf-8\r\n"...)
	w.b = append(w.b, r.Fields...)
	w.defaults(d)
	w.framingFields()
	w.b = append(w.b, "\r\n"...)
	if method == "HEAD" { // RFC 9110 9.3.2
		return w.b
	}
	w.b = append(w.b, text...)
	return append(w.b, '\n')
}

// AppendDate appends the date line for so many seconds since 1970 (RFC 9110 5.6.7).
func AppendDate(dst []byte, unix int64) []byte {
	return time.Unix(unix, 0).UTC().AppendFormat(dst, "date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")
}
