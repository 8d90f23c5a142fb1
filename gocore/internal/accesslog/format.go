// The format of a line: literal text and fields, compiled once.

package accesslog

import (
	"errors"
	"strings"
)

// ErrFormat: the format has an unknown field, or a brace without its counterpart.
var ErrFormat = errors.New("not a format of the access log")

// Formats by name. A websocket has two lines, when it opens and when it closes; `combined` has one, when it closes.
const (
	jsonFields = "time,client,request_id,method,path,protocol,status,bytes_in,bytes,first_byte_us,latency_us,outcome,ws_code,user_agent,referer,worker"

	combined = `{client} - - [{time_clf}] "{method} {path} {protocol}" {status} {bytes} "{referer}" "{user_agent}"`

	uvicorn       = `INFO:     {client_addr} - "{method} {path} {protocol}" {status} {reason}`
	uvicornOpened = `INFO:     {client_addr} - "WebSocket {path}" [accepted]`
	uvicornClosed = `INFO:     {client_addr} - "WebSocket {path}" [closed {ws_code}]`
)

// part of a line: literal text, then perhaps a field.
type part struct {
	literal string
	field   *field // nil: none
	slot    int    // of a value of the request: its place among the recorded ones
}

// format is the lines of a log, and the values of requests that they need.
type format struct {
	request, opened, closed []part // opened is nil if there is no such line
	values                  []*field
	escape                  escape
	quoted                  bool // values are JSON with their quotes, and missing ones null
	longest                 int  // octets of all literals and of fields that are no values
}

// compile makes a format of its text: a name, json:FIELD,..., or text with fields in braces.
func compile(text string) (f *format, err error) {
	f = &format{escape: escapeText}
	if text == "json" {
		text = "json:" + jsonFields
	}
	fields, isJSON := strings.CutPrefix(text, "json:")
	switch {
	case isJSON:
		f.escape, f.quoted = escapeJSON, true
		f.request, err = f.object(fields)
		f.opened, f.closed = f.request, f.request
	case text == "combined":
		f.request, err = f.template(combined)
		f.closed = f.request
	case text == "uvicorn":
		f.request, err = f.template(uvicorn)
		f.opened, _ = f.template(uvicornOpened)
		f.closed, _ = f.template(uvicornClosed)
	default:
		if strings.HasPrefix(text, "{{") { // the text is a JSON object
			f.escape = escapeJSON
		}
		f.request, err = f.template(text)
		f.closed = f.request
		if f.has("outcome") {
			f.opened = f.request
		}
	}
	if err != nil {
		return nil, err
	}
	f.measure()
	return f, nil
}

// template compiles text with fields in braces; {{ and }} are braces.
func (f *format) template(text string) (parts []part, err error) {
	var literal strings.Builder
	for len(text) > 0 {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			at = len(text)
		}
		literal.WriteString(text[:at])
		text = text[at:]
		switch {
		case text == "":
		case strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "}}"):
			literal.WriteByte(text[0])
			text = text[2:]
		default:
			name, rest, closed := strings.Cut(text[1:], "}")
			p, ok := f.part(literal.String(), name)
			if text[0] == '}' || !closed || !ok {
				return nil, ErrFormat
			}
			literal.Reset()
			parts, text = append(parts, p), rest
		}
	}
	return append(parts, part{literal: literal.String()}), nil
}

// object compiles a JSON object of these fields, by their names.
func (f *format) object(fields string) (parts []part, err error) {
	before := "{"
	for _, name := range strings.Split(fields, ",") {
		name = strings.TrimSpace(name)
		p, ok := f.part(before+`"`+strings.TrimPrefix(name, fieldPrefix)+`":`, name)
		if !ok {
			return nil, ErrFormat
		}
		parts, before = append(parts, p), ","
	}
	return append(parts, part{literal: "}"}), nil
}

func (f *format) part(literal, name string) (p part, ok bool) {
	one := fieldNamed(name)
	if one == nil {
		return part{}, false
	}
	p = part{literal: literal, field: one}
	if one.value == nil {
		return p, true
	}
	for p.slot = 0; p.slot < len(f.values) && f.values[p.slot].name != one.name; p.slot++ {
	}
	if p.slot == len(f.values) {
		f.values = append(f.values, one)
	}
	return p, true
}

func (f *format) has(name string) bool {
	for _, p := range f.request {
		if p.field != nil && p.field.name == name {
			return true
		}
	}
	return false
}

// measure finds the most that the line has besides values of the request.
func (f *format) measure() {
	for _, parts := range [][]part{f.request, f.opened, f.closed} {
		n := len("\n")
		for _, p := range parts {
			n += len(p.literal) + len(`""`)
			if p.field != nil && p.field.value == nil {
				n += longestNumber
			}
		}
		f.longest = max(f.longest, n)
	}
}

// most is how many octets a value may take, so that no line is longer than line.
func (f *format) most(line int) int {
	uses := 1
	for _, parts := range [][]part{f.request, f.opened, f.closed} {
		n := 0
		for _, p := range parts {
			if p.field != nil && p.field.value != nil {
				n++
			}
		}
		uses = max(uses, n)
	}
	return max((line-f.longest)/uses, len(cutMark))
}
