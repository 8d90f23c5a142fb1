// Fields that options add to responses, unless the app sends one of the same name.

package h1

import (
	"bytes"
	"strconv"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// offerer makes these fields, behind those of the option header, to which a field of the same name is left too.
type offerer struct {
	fixed  []offer // for every response
	hsts   offer   // for responses to clients that speak TLS; no name: none
	id     string  // name of the field with the id, in lower case; "": it is not sent
	spelt  []byte  // the name as the option has it
	traces bool
	timing bool
	lines  []byte // those of the last response
	static int    // octets of the option header's in lines
}

// offer is a field: its name in lower case, and its complete line.
type offer struct{ name, line string }

func newOffer(name, value string) offer { return offer{name, name + ": " + value + "\r\n"} }

const traceName = "traceparent"

// firstLines is the room in octets for the lines of a response, at first.
const firstLines = 512

// newOfferer returns nil if no option adds such a field.
func newOfferer(c *config.Config) *offerer {
	o := &offerer{timing: c.ServerTiming, traces: c.Traceparent && !hasLine(c.ExtraHeaders, traceName)}
	o.lines = append(make([]byte, 0, len(c.ExtraHeaders)+firstLines), c.ExtraHeaders...)
	o.static = len(o.lines)
	if c.SecurityHeaders {
		for _, one := range []offer{
			newOffer("x-content-type-options", "nosniff"),
			newOffer("x-frame-options", "SAMEORIGIN"),
			newOffer("referrer-policy", "strict-origin-when-cross-origin"),
		} {
			if !hasLine(c.ExtraHeaders, one.name) {
				o.fixed = append(o.fixed, one)
			}
		}
	}
	if hsts := newOffer("strict-transport-security", string(c.HSTS)); c.HSTS != nil && !hasLine(c.ExtraHeaders, hsts.name) {
		o.hsts = hsts
	}
	if name := octet.ToLower(c.RequestIDHeader); name != "" && !hasLine(c.ExtraHeaders, name) {
		o.id, o.spelt = name, c.RequestIDHeader
	}
	if o.fixed == nil && o.hsts.name == "" && o.id == "" && !o.traces && !o.timing {
		return nil
	}
	return o
}

// hasLine tells whether complete lines have a field with that name in lower case.
func hasLine(lines []byte, name string) bool {
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if given, _, found := bytes.Cut(line, []byte(":")); found && octet.EqualFold(given, name) {
			return true
		}
	}
	return false
}

// defaultsFor is the server's fields of the response to s beside the app's, until the next call. s is nil if the head of the request is
// not known.
func (d *Driver) defaultsFor(s *exchange.Stream, fields []byte) *message.Defaults {
	if d.offerer != nil {
		d.defaults.Extra = d.offerer.linesFor(d.streams, s, fields)
	}
	return &d.defaults
}

func (o *offerer) linesFor(streams *exchange.Streams, s *exchange.Stream, fields []byte) []byte {
	o.lines = o.lines[:o.static]
	for i := range o.fixed {
		o.add(&o.fixed[i], fields)
	}
	if s == nil {
		return o.lines
	}
	names := streams.NamesOf(s)
	if names.Secure && o.hsts.name != "" {
		o.add(&o.hsts, fields)
	}
	if names.ID != nil && o.id != "" && !hasField(fields, o.id) {
		o.lines = append(append(append(o.lines, o.spelt...), ": "...), names.ID...)
		o.lines = append(o.lines, "\r\n"...)
	}
	if names.Traceparent != nil && o.traces && !hasField(fields, traceName) {
		o.lines = append(append(o.lines, traceName+": "...), names.Traceparent...)
		o.lines = append(o.lines, "\r\n"...)
	}
	if o.timing { // a list, to which the app may add its own
		o.lines = appendMilliseconds(append(o.lines, "server-timing: total;dur="...), streams.Lasted(s))
		o.lines = append(o.lines, "\r\n"...)
	}
	return o.lines
}

func (o *offerer) add(one *offer, fields []byte) {
	if !hasField(fields, one.name) {
		o.lines = append(o.lines, one.line...)
	}
}

// hasField tells whether the app's fields, encoded as for message.CutField, have one with that name in lower case.
func hasField(fields []byte, name string) bool {
	given, _, rest, ok := message.CutField(fields)
	for ok && !octet.EqualFold(given, name) {
		given, _, rest, ok = message.CutField(rest)
	}
	return ok
}

// appendMilliseconds appends a time in milliseconds with three digits after the point.
func appendMilliseconds(to []byte, d time.Duration) []byte {
	us := d.Microseconds()
	to = append(strconv.AppendInt(to, us/1000, 10), '.')
	return append(to, '0'+byte(us/100%10), '0'+byte(us/10%10), '0'+byte(us%10))
}
