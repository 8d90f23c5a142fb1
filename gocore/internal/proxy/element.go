// Forwarded (RFC 7239): for=192.0.2.60;proto=http;by=203.0.113.43, for="[2001:db8::1]:4711"

package proxy

import (
	"bytes"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/octet"
)

// element is what one proxy has appended. Spans are without quotes, and may have escapes.
type element struct {
	node, proto, host http1.Span // of for, proto and host
	set               uint8      // which of them are given
}

const (
	setNode = 1 << iota
	setProto
	setHost
)

// elementOfForwarded has the scheme and the host that count.
func (r *reading) elementOfForwarded() *element {
	if !r.parsed {
		r.forwarded(handoff.Address{})
	}
	return &r.first
}

// forwarded goes through the elements from the last one on. found is false if that one does not say for whom it was forwarded.
//
// A line is parsed from its beginning, because commas may be quoted. A malformed line is one hop that is unknown.
func (r *reading) forwarded(peer handoff.Address) (client handoff.Address, found bool) {
	r.parsed = true
	w := walk{from: r.From, client: peer}
	any := false
	var scratch [longestNode]byte
	for i := len(r.fields) - 1; i >= 0 && !w.over; i-- {
		f := &r.fields[i]
		if f.ID != http1.Forwarded || f.Value.Len == 0 {
			continue
		}
		var line elements
		if !line.parse(r.buf, f.Value) {
			return w.client, found || !any
		}
		for n := 1; n <= min(line.n, limits.MaxHops) && !w.over; n++ {
			e := &line.last[(line.n-n)%limits.MaxHops]
			if !any {
				r.first, any, found = *e, true, e.set&setNode != 0
			}
			if w.pass(unescaped(e.node.In(r.buf), scratch[:0])) {
				r.first = *e
			}
		}
	}
	return w.client, found
}

// elements is the last elements of a line.
type elements struct {
	last [limits.MaxHops]element
	n    int // of all
}

// parse splits a line into its elements; false if it is malformed. Beyond RFC 7239 4 it allows spaces at the separators, colons and
// brackets without quotes, and empty values, because proxies send all of them.
func (l *elements) parse(buf []byte, at http1.Span) bool {
	i, end := int(at.Off), int(at.Off+at.Len)
	var e element
	given := false
	for {
		i = skipSpaces(buf, i, end)
		name := i
		for i < end && octet.Class[buf[i]]&octet.Token != 0 {
			i++
		}
		if i > name {
			if i == end || buf[i] != '=' {
				return false
			}
			value, next, ok := parameterValue(buf, i+1, end)
			if !ok || !e.add(buf[name:i], value) {
				return false
			}
			i, given = skipSpaces(buf, next, end), true
		}
		if i < end && buf[i] != ';' && buf[i] != ',' {
			return false
		}
		if (i == end || buf[i] == ',') && given {
			l.last[l.n%limits.MaxHops] = e
			l.n++
			e, given = element{}, false
		}
		if i == end {
			return true
		}
		i++
	}
}

// add sets a parameter; false if the element has it already.
func (e *element) add(name []byte, value http1.Span) bool {
	var to *http1.Span
	var bit uint8
	switch {
	case octet.EqualFold(name, "for"):
		to, bit = &e.node, setNode
	case octet.EqualFold(name, "proto"):
		to, bit = &e.proto, setProto
	case octet.EqualFold(name, "host"):
		to, bit = &e.host, setHost
	default:
		return true
	}
	if e.set&bit != 0 {
		return false
	}
	*to, e.set = value, e.set|bit
	return true
}

func skipSpaces(b []byte, i, end int) int {
	for i < end && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// parameterValue is a token, or what is between quotes.
func parameterValue(b []byte, i, end int) (value http1.Span, next int, ok bool) {
	from := i
	if i == end || b[i] != '"' {
		for i < end && (octet.Class[b[i]]&octet.Token != 0 || b[i] == ':' || b[i] == '[' || b[i] == ']') {
			i++
		}
		return http1.Span{Off: uint32(from), Len: uint32(i - from)}, i, true
	}
	for i++; i < end && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	if i >= end {
		return value, end, false
	}
	return http1.Span{Off: uint32(from + 1), Len: uint32(i - from - 1)}, i + 1, true
}

// longestNode is longer than every address with brackets and port.
const longestNode = 64

// unescaped appends a value without the backslashes of quoted pairs (RFC 9110 5.6.4) to scratch, unless it has none; nil if the value is
// too long for a node.
func unescaped(v, scratch []byte) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	if len(v) > longestNode {
		return nil
	}
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' {
			i++
		}
		scratch = append(scratch, v[i])
	}
	return scratch
}
