// The fields of a line, by name.

package accesslog

import (
	"strconv"
	"strings"
	"time"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/transport"
)

// longestNumber is the most octets of a field that is no value of the request: a reason phrase, or a time.
const longestNumber = 40

// fieldPrefix begins the name of a field line of the request: header:accept-language.
const fieldPrefix = "header:"

// field is a field of a line. Either value or number is set.
type field struct {
	name string
	// value is what the request has, unescaped; nil: it has none. It is recorded when the request begins.
	value func(r *request) []byte
	// number appends what is known once the line is written; nothing: it is missing.
	number func(to []byte, l *line) []byte
	text   bool // number appends text, which JSON has in quotes
}

// fields has a field for each name but those of field lines. saltare/options/log_values.py has the same names.
var fields = [...]field{
	{name: "client", value: func(r *request) []byte { return r.host() }},
	{name: "client_addr", value: func(r *request) []byte { return r.address() }},
	{name: "method", value: func(r *request) []byte { return r.span(r.Method) }},
	{name: "path", value: func(r *request) []byte { return r.target() }},
	{name: "path_only", value: func(r *request) []byte { return r.span(r.RawPath) }},
	{name: "query", value: func(r *request) []byte { return r.span(r.Query) }},
	{name: "request_id", value: func(r *request) []byte { return r.line("x-request-id", idRequestID) }},
	{name: "user_agent", value: func(r *request) []byte { return r.line("user-agent", idUserAgent) }},
	{name: "referer", value: func(r *request) []byte { return r.line("referer", idReferer) }},

	{name: "time", number: func(to []byte, l *line) []byte { return l.log.stamps.iso(to, l.began) }, text: true},
	{name: "time_clf", number: func(to []byte, l *line) []byte { return l.log.stamps.clf(to, l.began) }, text: true},
	{name: "timestamp", number: func(to []byte, l *line) []byte { return thousandths(to, l.began) }},
	{name: "client_port", number: func(to []byte, l *line) []byte { return known(to, uint64(l.port)) }},
	{name: "protocol", number: func(to []byte, l *line) []byte { return protocol(to, l.minor) }, text: true},
	{name: "status", number: func(to []byte, l *line) []byte { return known(to, uint64(l.Status)) }},
	{name: "reason", number: func(to []byte, l *line) []byte { return append(to, http1.Phrase(int(l.Status))...) }, text: true},
	{name: "bytes_in", number: func(to []byte, l *line) []byte { return strconv.AppendUint(to, l.In, 10) }},
	{name: "bytes_out", number: bytesOut},
	{name: "bytes", number: bytesOut},
	{name: "duration_us", number: microseconds},
	{name: "latency_us", number: microseconds},
	{name: "duration_ms", number: func(to []byte, l *line) []byte { return thousandths(to, l.lasted.Microseconds()) }},
	{name: "duration_s", number: func(to []byte, l *line) []byte {
		return strconv.AppendFloat(to, float64(l.lasted.Microseconds())/1e6, 'f', 6, 64)
	}},
	{name: "first_byte_us", number: func(to []byte, l *line) []byte { return l.firstByte(to) }},
	{name: "outcome", number: func(to []byte, l *line) []byte { return append(to, l.Outcome.String()...) }, text: true},
	{name: "ws_code", number: func(to []byte, l *line) []byte { return known(to, uint64(l.Code)) }},
	{name: "worker", number: func(to []byte, l *line) []byte { return strconv.AppendUint(to, uint64(l.log.worker), 10) }},
	{name: "pid", number: func(to []byte, l *line) []byte { return strconv.AppendInt(to, int64(l.log.pid), 10) }},
}

// IDs of known field names (http1.KnownNames).
var idUserAgent, idReferer, idRequestID = idOf("user-agent"), idOf("referer"), idOf("x-request-id")

func idOf(name string) uint32 {
	for id, known := range http1.KnownNames {
		if known == name {
			return uint32(id)
		}
	}
	return 0
}

// fieldNamed returns the field with that name; nil: there is none.
func fieldNamed(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	line, found := strings.CutPrefix(name, fieldPrefix)
	if !found || line == "" {
		return nil
	}
	line = strings.ToLower(line)
	id := idOf(line)
	return &field{name: fieldPrefix + line, value: func(r *request) []byte { return r.line(line, id) }}
}

func bytesOut(to []byte, l *line) []byte { return strconv.AppendUint(to, l.Out, 10) }

func microseconds(to []byte, l *line) []byte {
	return strconv.AppendInt(to, l.lasted.Microseconds(), 10)
}

// thousandths appends n/1000 with three digits after the point.
func thousandths(to []byte, n int64) []byte {
	to = append(strconv.AppendInt(to, n/1000, 10), '.')
	return append(to, '0'+byte(n/100%10), '0'+byte(n/10%10), '0'+byte(n%10))
}

// known appends a number; 0: it is missing.
func known(to []byte, n uint64) []byte {
	if n == 0 {
		return to
	}
	return strconv.AppendUint(to, n, 10)
}

func protocol(to []byte, minor uint8) []byte {
	if minor == unknownMinor {
		return to
	}
	return append(append(to, "HTTP/1."...), '0'+minor)
}

func (l *line) firstByte(to []byte) []byte {
	if !l.answered {
		return to
	}
	return strconv.AppendInt(to, l.waited.Microseconds(), 10)
}

// request is a request as the server describes it to the app.
type request struct {
	*handoff.Request
	scratch []byte // for values that are made of several
}

func (r *request) head(n uint32) []byte { return handoff.Bytes(r.Head, uint64(n)) }

func (r *request) span(s http1.Span) []byte {
	if s.Len == 0 {
		return nil
	}
	return r.head(s.Off + s.Len)[s.Off:]
}

// target is the path as it was sent, and the query.
func (r *request) target() []byte {
	path := r.span(r.RawPath)
	if r.Query.Len == 0 {
		return path
	}
	r.scratch = append(append(append(r.scratch[:0], path...), '?'), r.span(r.Query)...)
	return r.scratch
}

func (r *request) host() []byte {
	r.scratch = transport.AppendHost(r.scratch[:0], &r.Client)
	return r.scratch
}

func (r *request) address() []byte {
	r.scratch = transport.AppendAddress(r.scratch[:0], &r.Client)
	return r.scratch
}

// line is the value of the first field line with that name, which has that ID if it is a known one.
func (r *request) line(name string, id uint32) []byte {
	for i := range r.NFields {
		f := r.field(i)
		if id != 0 && f.ID == id || id == 0 && f.ID == 0 && string(r.span(f.Name)) == name {
			return r.span(f.Value)
		}
	}
	return nil
}

// stamps are times as text, made once a second. All are UTC.
type stamps struct {
	second       int64
	isoText, day []byte
}

func (s *stamps) set(ms int64) {
	second := ms / 1000
	if s.second == second && s.isoText != nil {
		return
	}
	s.second = second
	at := time.Unix(second, 0).UTC()
	s.isoText = at.AppendFormat(s.isoText[:0], "2006-01-02T15:04:05.")
	s.day = at.AppendFormat(s.day[:0], "02/Jan/2006:15:04:05 +0000")
}

// iso appends a time in milliseconds since 1970 as RFC 3339 has it.
func (s *stamps) iso(to []byte, ms int64) []byte {
	s.set(ms)
	return append(append(to, s.isoText...), '0'+byte(ms/100%10), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}

// clf appends it as the Common Log Format has it, without brackets.
func (s *stamps) clf(to []byte, ms int64) []byte {
	s.set(ms)
	return append(to, s.day...)
}
