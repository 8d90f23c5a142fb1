// The fields of a request that proxies set, and what they say together.

package proxy

import (
	"bytes"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/octet"
)

// Rules is whose fields are believed, and which.
type Rules struct {
	On     bool
	From   *List    // nil: nobody's
	Fields []uint32 // IDs in http1.KnownNames; of two fields that say the same thing, the earlier one counts
	Secure []Secure // further fields that mean https
	TLS    bool     // connections speak TLS: without a scheme https is meant
}

// Secure is a field, in lower case, and the value with which it means https.
type Secure struct{ Name, Value []byte }

// ParseFields parses lines, each a field name in lower case. Names of other fields are ignored.
func ParseFields(lines []byte) (ids []uint32) {
	for name := range bytes.FieldsSeq(lines) {
		for id := uint32(http1.Forwarded); id <= http1.XRealIP; id++ {
			if http1.KnownNames[id] == string(name) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// ParseSecure parses lines, each "name: value" with the name in lower case.
func ParseSecure(lines []byte) (all []Secure) {
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok {
			all = append(all, Secure{name, value})
		}
	}
	return all
}

// Origin is where a request comes from, as far as is known: the client's side of the outermost proxy that is believed.
type Origin struct {
	Client handoff.Address
	Scheme uint32     // handoff.Scheme*; 0: that of the connection
	Port   uint32     // of the server; 0: that of the connection
	Host   http1.Span // of the server, without port and brackets; empty: that of the connection
	Prefix http1.Span // the path under which clients reach the app; empty: that of the configuration
}

// Apply tells whether the rules need to look at a request. hasFields: it has at least one of the known fields.
func (r *Rules) Apply(peer *handoff.Address, hasFields bool) bool {
	return r.On && (hasFields || len(r.Secure) > 0) && r.From.Has(peer)
}

// reading is one request while its fields are read.
type reading struct {
	*Rules
	buf    []byte
	fields []http1.Field
	hop    int     // the element of X-Forwarded-For that has the client, counted from the last one
	first  element // of Forwarded: the one that has the client, otherwise the last one
	parsed bool    // first is known
}

// Read reads the fields of a request from a peer that is believed. o.Client is the peer's address. A value that is missing, malformed
// or not to be trusted changes nothing.
//
// Proxies append to lists, so the last element is what the peer itself says, and each further one is believed only if the address
// after it is. The client is the last address that is not believed as a proxy, otherwise the first one. Something that is no address
// ends the search: all before it may be forged. Scheme and host are those that the proxy nearest to the client has appended.
func (r *Rules) Read(o *Origin, buf []byte, fields []http1.Field) {
	one := reading{Rules: r, buf: buf, fields: fields}
	one.client(o)
	o.Scheme = one.scheme()
	one.host(o)
	if n, ok := parseNumber(one.valueOf(http1.XForwardedPort), 65535); ok && n > 0 {
		o.Port = uint32(n)
	}
	if o.Host.Len > 0 && o.Port == 0 {
		if o.Port = 80; o.Scheme == handoff.SchemeHTTPS || o.Scheme == 0 && r.TLS {
			o.Port = 443
		}
	}
	o.Prefix = prefixOf(buf, one.spanOf(http1.XForwardedPrefix))
}

func (r *reading) client(o *Origin) {
	for _, id := range r.Fields {
		switch id {
		case http1.XForwardedFor:
			w := walk{from: r.From, client: o.Client}
			for at := r.backwards(id); !w.over && at.next(); {
				w.pass(at.element.In(r.buf))
			}
			if w.hops > 0 {
				o.Client, r.hop = w.client, w.at
				return
			}
		case http1.XRealIP:
			if v := r.valueOf(id); len(v) > 0 {
				if a, ok := parseNode(v); ok {
					o.Client = a
				}
				return
			}
		case http1.Forwarded:
			if client, found := r.forwarded(o.Client); found {
				o.Client = client
				return
			}
		}
	}
}

func (r *reading) scheme() uint32 {
	for _, s := range r.Secure {
		for i := range r.fields {
			if f := &r.fields[i]; bytes.Equal(f.Name.In(r.buf), s.Name) && bytes.Equal(f.Value.In(r.buf), s.Value) {
				return handoff.SchemeHTTPS
			}
		}
	}
	for _, id := range r.Fields {
		var v []byte
		switch id {
		case http1.XForwardedProto:
			v = r.valueOf(id)
		case http1.Forwarded:
			v = r.elementOfForwarded().proto.In(r.buf)
		}
		if len(v) > 0 {
			return schemeOf(v)
		}
	}
	return 0
}

func schemeOf(v []byte) uint32 {
	switch {
	case octet.EqualFold(v, "https") || octet.EqualFold(v, "wss"):
		return handoff.SchemeHTTPS
	case octet.EqualFold(v, "http") || octet.EqualFold(v, "ws"):
		return handoff.SchemeHTTP
	}
	return 0
}

func (r *reading) host(o *Origin) {
	for _, id := range r.Fields {
		var at http1.Span
		switch id {
		case http1.XForwardedHost:
			at = r.spanOf(id)
		case http1.Forwarded:
			at = r.elementOfForwarded().host
		}
		if at.Len > 0 {
			o.Host, o.Port = hostOf(r.buf, at)
			return
		}
	}
}

// hostOf splits a host, which may have a port; both are zero if it is malformed.
func hostOf(buf []byte, at http1.Span) (host http1.Span, port uint32) {
	v := at.In(buf)
	if !http1.ValidHost(v) {
		return host, 0
	}
	name, rest := v, []byte(nil)
	if end := bytes.IndexByte(v, ']'); end >= 0 {
		var a handoff.Address
		if name, rest = v[1:end], v[end+1:]; !parseIP(name, &a) {
			return host, 0
		}
		at.Off++
	} else if colon := bytes.IndexByte(v, ':'); colon >= 0 {
		name, rest = v[:colon], v[colon:]
	}
	if len(name) == 0 {
		return host, 0
	}
	if len(rest) > 1 {
		n, _ := parseNumber(rest[1:], 65535)
		port = uint32(n)
	}
	return http1.Span{Off: at.Off, Len: uint32(len(name))}, port
}

// prefixOf checks a path that becomes part of links: "/" and visible ASCII without "//" at its start, quotes, escapes, query and
// fragment. Slashes at its end are not part of it.
func prefixOf(buf []byte, at http1.Span) (prefix http1.Span) {
	v := bytes.TrimRight(at.In(buf), "/")
	if len(v) < 2 || v[0] != '/' || v[1] == '/' {
		return prefix
	}
	for _, c := range v {
		if c != '/' && c != ':' && c != '@' && (octet.Class[c]&octet.RegName == 0 || c == '\'') {
			return prefix
		}
	}
	return http1.Span{Off: at.Off, Len: uint32(len(v))}
}
