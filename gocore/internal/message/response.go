// Package message is the content of a response independent of the HTTP version: body mode, lengths, fields, defaults.
package message

import (
	"encoding/binary"
	"errors"

	"saltare/gocore/internal/octet"
)

// Response is what the framing of a response depends on, and the decisions about it.
type Response struct {
	Status        uint16
	Minor         uint8 // of the request
	HEAD          bool  // method of the request
	Close         bool  // in: the server wants to close after this response; out: it closes
	Whole         bool  // in: the whole body is known, and ContentLength is its size
	Events        bool  // out: its type is text/event-stream
	Mode          BodyMode
	ContentLength int64 // out: as sent; -1: no such field
}

// Defaults are the fields that the server adds to responses. Each is complete lines or nil.
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

// ErrEncoding is a bug in the bridge.
var ErrEncoding = errors.New("fields of a response are cut short")

// Switching is the status after which the connection speaks another protocol (RFC 9110 15.2.2).
const Switching = 101

// notModified is the status of a response without a body that may declare the length of one (RFC 9110 15.4.5).
const notModified = 304

// Judge reads the app's fields of a response. It removes those that the server decides about, and records what they say.
type Judge struct {
	Response
	HasDate, HasServer bool
	HasCoding          bool // the app declared a transfer-encoding
}

// Take checks and reads a field. keep is false if the server writes the field itself or leaves it out.
func (j *Judge) Take(name, value []byte) (keep bool, err error) {
	if err := CheckField(name, value); err != nil {
		return false, err
	}
	return j.judge(name, value)
}

// CheckField returns ErrName or ErrValue if a field is not allowed in any message.
func CheckField(name, value []byte) error {
	switch {
	case !octet.IsToken(name):
		return ErrName
	case !octet.IsText(value):
		return ErrValue
	}
	return nil
}

// CutField splits the first field off fields, which are encoded as { uint32 name length; uint32 value length; name; value },
// little-endian and unpadded. ok is false if they are cut short: ErrEncoding.
func CutField(fields []byte) (name, value, rest []byte, ok bool) {
	if len(fields) < 8 {
		return nil, nil, nil, false
	}
	n, v := uint64(binary.LittleEndian.Uint32(fields)), uint64(binary.LittleEndian.Uint32(fields[4:]))
	fields = fields[8:]
	if n+v > uint64(len(fields)) {
		return nil, nil, nil, false
	}
	return fields[:n], fields[n : n+v], fields[n+v:], true
}

// AppendField appends a field that CutField splits off again.
func AppendField(to []byte, name, value string) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(name)))
	to = binary.LittleEndian.AppendUint32(to, uint32(len(value)))
	return append(append(to, name...), value...)
}

// judge tells whether to write a field of the app as it is.
func (j *Judge) judge(name, value []byte) (keep bool, err error) {
	if j.Status == Switching && namesUpgrade(name) {
		return false, nil
	}
	switch len(name) {
	case len("date"):
		j.HasDate = j.HasDate || octet.EqualFold(name, "date")
	case len("server"):
		j.HasServer = j.HasServer || octet.EqualFold(name, "server")
	case len("connection"):
		if octet.EqualFold(name, "connection") {
			return j.connection(value), nil
		}
	case len("content-type"):
		j.Events = j.Events || isEventStream(name, value)
	case len("content-length"):
		if octet.EqualFold(name, "content-length") {
			return false, j.contentLength(value)
		}
	case len("transfer-encoding"):
		is := octet.EqualFold(name, "transfer-encoding")
		j.HasCoding = j.HasCoding || is
		return !is, nil
	}
	return true, nil
}

const eventStream = "text/event-stream" // HTML, 9.2 (server-sent events)

func isEventStream(name, value []byte) bool {
	return len(value) >= len(eventStream) && octet.EqualFold(value[:len(eventStream)], eventStream) && octet.EqualFold(name, "content-type")
}

// namesUpgrade tells whether the upgrade itself writes the field.
func namesUpgrade(name []byte) bool {
	return octet.EqualFold(name, "connection") || octet.EqualFold(name, "upgrade")
}

// Measure declares the size of a whole body for an app that has declared neither a length nor, to a reader of HTTP/1.1, a transfer
// coding. An empty body does not tell the length that a 304 or a response to HEAD would declare (RFC 9110 8.6).
func (j *Judge) Measure(size int64) {
	switch {
	case j.ContentLength >= 0, j.HasCoding && j.Minor > 0, size == 0 && (j.HEAD || j.Status == notModified):
		return
	}
	j.ContentLength = size
}

func (j *Judge) contentLength(value []byte) error {
	if j.ContentLength >= 0 {
		return ErrContentLengths
	}
	n, ok, fits := octet.ParseLength(octet.Trim(value))
	if !ok || !fits {
		return ErrContentLength
	}
	j.ContentLength = n
	return nil
}

// connection obeys close, and keeps a field that names more than persistence, such as upgrade.
func (j *Judge) connection(value []byte) (keep bool) {
	for another := true; another; {
		var option []byte
		option, value, another = octet.CutList(value)
		switch {
		case octet.EqualFold(option, "close"):
			j.Close = true
		case len(option) > 0 && !octet.EqualFold(option, "keep-alive"):
			keep = true
		}
	}
	return keep
}
