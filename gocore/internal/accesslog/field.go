// The fields of a line, by name.

package accesslog

import (
	"strconv"
	"strings"
	"time"
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/identity"
	"saltare/gocore/internal/octet"
	"saltare/gocore/internal/transport"
)

// longestField is the most octets of a field that is no value of the request: an IPv6 address with its port.
const longestField = 56

// fieldPrefix begins the name of a field line of the request: header:accept-language.
const fieldPrefix = "header:"

// field is a field of a line, with one of value, early and late.
type field struct {
	name string
	// value is what the request has, unescaped; nil: it has none.
	value func(r *request) []byte
	// early appends what is known when the request begins, and late what is known at its end; nothing: it is missing.
	early, late func(to []byte, l *Log) []byte
	text        bool // JSON has it in quotes
}

// fields has a field for each name but those of field lines. saltare/options/log_values.py has the same names.
var fields = [...]field{
	{name: "client", text: true, early: func(to []byte, l *Log) []byte { return append(to, l.host()...) }},
	{name: "client_addr", text: true, early: func(to []byte, l *Log) []byte { return transport.AppendAddress(to, &l.request.Client) }},
	{name: "method", text: true, early: func(to []byte, l *Log) []byte { return append(to, l.request.span(l.request.Method)...) }}, // a token
	{name: "path", text: true, value: func(r *request) []byte { return r.target() }},
	{name: "path_only", text: true, value: func(r *request) []byte { return r.span(r.RawPath) }},
	{name: "query", text: true, value: func(r *request) []byte { return r.span(r.Query) }},
	{name: "request_id", text: true, value: (*request).id},
	{name: "trace_id", text: true, value: (*request).traceID},
	{name: "user_agent", text: true, value: func(r *request) []byte { return r.line("user-agent", idUserAgent) }},
	{name: "referer", text: true, value: func(r *request) []byte { return r.line("referer", idReferer) }},

	{name: "time", text: true, early: func(to []byte, l *Log) []byte { return l.stamps.iso(to, l.clock.Wall()) }},
	{name: "time_clf", text: true, early: func(to []byte, l *Log) []byte { return l.stamps.clf(to, l.clock.Wall()) }},
	{name: "timestamp", early: func(to []byte, l *Log) []byte { return thousandths(to, l.clock.Wall()) }},
	{name: "client_port", early: func(to []byte, l *Log) []byte { return known(to, uint64(l.request.Client.Port)) }},
	{name: "protocol", text: true, early: func(to []byte, l *Log) []byte { return protocol(to, l.request.Minor) }},
	{name: "worker", early: func(to []byte, l *Log) []byte { return strconv.AppendUint(to, uint64(l.worker), 10) }},
	{name: "pid", early: func(to []byte, l *Log) []byte { return strconv.AppendInt(to, int64(l.pid), 10) }},

	{name: "status", late: func(to []byte, l *Log) []byte { return strconv.AppendUint(to, uint64(l.end.Status), 10) }},
	{name: "reason", text: true, late: func(to []byte, l *Log) []byte { return append(to, http1.Phrase(int(l.end.Status))...) }},
	{name: "bytes_in", late: func(to []byte, l *Log) []byte { return strconv.AppendUint(to, l.end.In, 10) }},
	{name: "bytes_out", late: bytesOut},
	{name: "bytes", late: bytesOut},
	{name: "duration_us", late: microseconds},
	{name: "latency_us", late: microseconds},
	{name: "duration_ms", late: func(to []byte, l *Log) []byte { return thousandths(to, l.end.lasted.Microseconds()) }},
	{name: "duration_s", late: seconds},
	{name: "first_byte_us", late: firstByte},
	{name: "outcome", text: true, late: func(to []byte, l *Log) []byte { return append(to, l.end.Outcome.String()...) }},
	{name: "ws_code", late: func(to []byte, l *Log) []byte { return known(to, uint64(l.end.Code)) }},
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
	given, found := strings.CutPrefix(name, fieldPrefix)
	if !found || !octet.IsToken([]byte(given)) {
		return nil
	}
	lower := []byte(given)
	for i, c := range lower {
		lower[i] = octet.Folded[c]
	}
	line := string(lower)
	id := idOf(line)
	return &field{name: fieldPrefix + line, text: true, value: func(r *request) []byte { return r.line(line, id) }}
}

func bytesOut(to []byte, l *Log) []byte { return strconv.AppendUint(to, l.end.Out, 10) }

func microseconds(to []byte, l *Log) []byte {
	return strconv.AppendInt(to, l.end.lasted.Microseconds(), 10)
}

func seconds(to []byte, l *Log) []byte {
	us := l.end.lasted.Microseconds()
	to = append(strconv.AppendInt(to, us/1e6, 10), '.')
	for unit := int64(1e5); unit > 0; unit /= 10 { // strconv.AppendFloat would take 10 KiB of code and tables
		to = append(to, '0'+byte(us/unit%10))
	}
	return to
}

func firstByte(to []byte, l *Log) []byte {
	if !l.end.answered {
		return to
	}
	return strconv.AppendInt(to, l.end.waited.Microseconds(), 10)
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

func protocol(to []byte, minor uint32) []byte {
	if minor == unknownMinor {
		return to
	}
	if minor == 0 {
		return append(to, "HTTP/1.0"...)
	}
	return append(to, "HTTP/1.1"...)
}

// host is the address of the client as text. The last one is kept: behind a proxy it is always the same.
func (l *Log) host() []byte {
	if a := &l.request.Client; l.hostText == nil || a.IP != l.hostOf.IP || a.Family != l.hostOf.Family {
		l.hostText, l.hostOf = transport.AppendHost(l.hostText[:0], a), *a
	}
	return l.hostText
}

// request is a request as the server describes it to the app.
type request struct {
	*handoff.Request
	names   Names
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

// line is the value of the first field line with that name, which has that ID if it is a known one.
func (r *request) line(name string, id uint32) []byte {
	at := r.Fields
	for _, f := range unsafe.Slice((*http1.Field)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), r.NFields) {
		if id != 0 && f.ID == id || id == 0 && f.ID == 0 && string(r.span(f.Name)) == name {
			return r.span(f.Value)
		}
	}
	return nil
}

// id is what the server calls the request, otherwise what the client does.
func (r *request) id() []byte {
	if r.names.ID != nil {
		return r.names.ID
	}
	return r.line("x-request-id", idRequestID)
}

func (r *request) traceID() []byte {
	if r.names.Trace == nil {
		return nil
	}
	return identity.TraceID(r.names.Trace)
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
