// The format of a line: literal text and fields, compiled once.

package accesslog

import (
	"errors"
	"strings"

	"saltare/gocore/internal/limits"
)

// ErrFormat: the format has an unknown field or a brace without its counterpart, or it is too long.
var ErrFormat = errors.New("not a format of the access log")

// Formats by name. A websocket has two lines, when it opens and when it closes; with `combined` it has one, when it closes.
const (
	jsonFields = "time,client,request_id,method,path,protocol,user_agent,referer,status,bytes_in,bytes,latency_us,outcome,ws_code"

	combined = `{client} - - [{time_clf}] "{method} {path} {protocol}" {status} {bytes} "{referer}" "{user_agent}"`

	uvicorn        = `INFO:     {client_addr} - "{method} {path} {protocol}" {status} {reason}`
	uvicornOpened  = `INFO:     {client_addr} - "WebSocket {path}" [accepted]`
	uvicornClosed  = `INFO:     {client_addr} - "WebSocket {path}" [closed {ws_code}]`
	uvicornRefused = `INFO:     {client_addr} - "WebSocket {path}" {status}`
)

// part of a line: literal text, then perhaps a field.
type part struct {
	literal string
	field   *field                         // nil: none
	value   func(r *request) []byte        // of the field, or
	append  func(to []byte, l *Log) []byte // its early or late
	quote   bool                           // a quote follows the field
	isFirst bool                           // of a JSON object: it is null if it is missing, so that each other member begins with a comma
}

// step of a line: a run of parts that are known when the request begins, and then one that is known at its end. Either may be empty.
type step struct {
	early []part
	late  part
}

// template is a line. What its early parts make of a request is recorded.
type template []step

// format is the templates of a log.
type format struct {
	request                 template // not of a websocket
	opened, closed, refused template // of websockets, all with the same early parts; opened is nil if there is no such line
	escape                  escape
	json                    bool // fields are JSON members; missing ones are left out
	longest                 int  // octets of all that is no value of the request
	uses                    int  // how many values of the request a line has
}

// compile makes a format of its text: a name, json:FIELD,..., or text with fields in braces.
func compile(text string) (*format, error) {
	f, err := compileAny(text)
	if err == nil && f.longest+f.uses*len(cutMark) > limits.LogPipeBytes {
		err = ErrFormat
	}
	return f, err
}

func compileAny(text string) (f *format, err error) {
	f = &format{escape: escapeText}
	if text == "json" {
		text = "json:" + jsonFields
	}
	fields, isJSON := strings.CutPrefix(text, "json:")
	switch {
	case isJSON:
		f.escape, f.json = escapeJSON, true
		f.request, err = f.object(fields)
	case text == "combined":
		f.request, err = f.text(combined)
	case text == "uvicorn":
		f.request, err = f.text(uvicorn)
		f.opened, _ = f.text(uvicornOpened)
		f.closed, _ = f.text(uvicornClosed)
		f.refused, _ = f.text(uvicornRefused)
		return f, err
	default:
		if strings.HasPrefix(text, "{{") { // the text is a JSON object
			f.escape = escapeJSON
		}
		f.request, err = f.text(text)
	}
	f.closed, f.refused = f.request, f.request
	if f.request.has("outcome") {
		f.opened = f.request
	}
	return f, err
}

// text compiles text with fields in braces; {{ and }} are braces.
func (f *format) text(text string) (template, error) {
	var parts []part
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
			one := fieldNamed(name)
			if text[0] == '}' || !closed || one == nil {
				return nil, ErrFormat
			}
			parts = append(parts, partOf(literal.String(), one))
			literal.Reset()
			text = rest
		}
	}
	return f.steps(append(parts, part{literal: literal.String()})), nil
}

// object compiles a JSON object of these fields, by their names.
func (f *format) object(fields string) (template, error) {
	var parts []part
	before := "{"
	for _, name := range strings.Split(fields, ",") {
		one := fieldNamed(strings.TrimSpace(name))
		if one == nil {
			return nil, ErrFormat
		}
		p := partOf(before+`"`+strings.TrimPrefix(one.name, fieldPrefix)+`":`, one)
		p.isFirst = parts == nil
		if p.quote = one.text; p.quote {
			p.literal += `"`
		}
		parts, before = append(parts, p), ","
	}
	return f.steps(append(parts, part{literal: "}"})), nil
}

// partOf copies the functions of the field, which saves a look at the field for each line.
func partOf(literal string, one *field) part {
	p := part{literal: literal, field: one, value: one.value, append: one.early}
	if one.late != nil {
		p.append = one.late
	}
	return p
}

// steps groups the parts of a line, and counts what the line may take.
func (f *format) steps(parts []part) (t template) {
	var early []part
	longest, uses := len("\n"), 0
	for _, p := range parts {
		longest += len(p.literal) + len(`"`)
		switch {
		case p.field == nil: // the last one
		case p.field.value != nil:
			uses++
		default:
			longest += longestField
		}
		if p.field != nil && p.field.late == nil {
			early = append(early, p)
		} else {
			t, early = append(t, step{early, p}), nil
		}
	}
	f.longest, f.uses = max(f.longest, longest), max(f.uses, uses)
	return t
}

func (t template) has(name string) bool {
	for _, s := range t {
		if s.late.field != nil && s.late.field.name == name {
			return true
		}
	}
	return false
}

// of is the template of a request that was answered.
func (f *format) of(websocket bool) template {
	if websocket {
		return f.refused
	}
	return f.request
}

// most is how many octets a value may take, so that no line is longer than line.
func (f *format) most(line int) int { return max((line-f.longest)/max(f.uses, 1), len(cutMark)) }

// record appends what the early parts of each step make of a request, each with its length before it.
func (f *format) record(to []byte, t template, l *Log) []byte {
	for i := range t {
		early := t[i].early
		if early == nil {
			continue
		}
		at := len(to)
		to = append(to, 0, 0)
		for j := range early {
			p := &early[j]
			to = append(to, p.literal...)
			from, missing := len(to), false
			if p.value != nil {
				value := p.value(&l.request)
				missing = value == nil || !f.json && len(value) == 0
				to = f.escape(to, value, l.most)
			} else {
				to = p.append(to, l)
				missing = len(to) == from
			}
			to = f.end(to, p, from, missing)
		}
		n := len(to) - at - 2
		to[at], to[at+1] = byte(n), byte(n>>8)
	}
	return to
}

// line appends a line.
func (f *format) line(to []byte, t template, recorded []byte, l *Log) []byte {
	rest := recorded
	for i := range t {
		s := &t[i]
		if s.early != nil {
			n := int(rest[0]) | int(rest[1])<<8
			to, rest = append(to, rest[2:2+n]...), rest[2+n:]
		}
		to = append(to, s.late.literal...)
		if s.late.append != nil {
			from := len(to)
			to = s.late.append(to, l)
			to = f.end(to, &s.late, from, len(to) == from)
		}
	}
	return append(to, '\n')
}

// end ends a part whose field begins at from.
func (f *format) end(to []byte, p *part, from int, missing bool) []byte {
	if missing {
		return f.without(to[:from], p)
	}
	if p.quote {
		return append(to, '"')
	}
	return to
}

// without ends a part whose field is missing.
func (f *format) without(to []byte, p *part) []byte {
	switch {
	case !f.json:
		return append(to, '-')
	case !p.isFirst:
		return to[:len(to)-len(p.literal)]
	case p.quote:
		to = to[:len(to)-1]
	}
	return append(to, "null"...)
}
