// The request target: its octets, its four forms (RFC 9112 3.2), host and port.

package http1

import (
	"bytes"

	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// scanTarget scans the target that starts at i, finds path and query in it, and returns the index of the space after it.
//
// It accepts all visible ASCII octets except "#". RFC 3986 does not allow "<>\^`{|} either, but browsers send some of them in a query,
// and all parsers agree on where they end. Octets above 0x7f must be escaped.
func (h *Head) scanTarget(b []byte, i int) (int, *message.Refusal) {
	query := -1
	for at := i; at < len(b); at++ {
		switch c := b[at]; {
		case octet.Class[c]&octet.Target == 0:
			if c != ' ' {
				return 0, notInTarget(b, at)
			}
			if at == i {
				return 0, emptyTarget
			}
			h.Target = span(i, at)
			h.Path = h.Target
			if query >= 0 {
				h.Path, h.Query = span(i, query), span(query+1, at)
			}
			return at, nil
		case c == '%' && query < 0:
			h.PathEscaped = true
		case c == '?' && query < 0:
			query = at
		}
	}
	return 0, more
}

// notInTarget tells what an octet that is not allowed in a target means at i.
func notInTarget(b []byte, i int) *message.Refusal {
	switch b[i] {
	case '#':
		return fragment
	case '\r', '\n':
		if _, r := lineEnd(b, i); r != nil {
			return r
		}
		return OldHTTP
	}
	return badTarget
}

// form checks that the target has one of the four forms, and that the form fits the method.
func (h *Head) form(b []byte) *message.Refusal {
	method, t := h.Method.In(b), h.Target.In(b)
	h.IsHEAD = string(method) == "HEAD"
	h.IsCONNECT = string(method) == "CONNECT"
	switch {
	case h.IsCONNECT: // authority-form, RFC 9112 3.2.3
		return h.authorityForm(t)
	case t[0] == '/': // origin-form, RFC 9112 3.2.1
		return nil
	case string(t) == "*": // asterisk-form, RFC 9112 3.2.4
		if string(method) == "OPTIONS" {
			return nil
		}
		return badForm
	}
	return h.absoluteForm(b, t) // RFC 9112 3.2.2
}

func (h *Head) authorityForm(t []byte) *message.Refusal {
	if !ValidHost(t) || t[0] == ':' || t[len(t)-1] == ':' || !hasPort(t) {
		return badForm
	}
	h.Path.Len, h.Query, h.PathEscaped = 0, Span{}, false
	return nil
}

// hasPort tells whether a valid authority has a port.
func hasPort(authority []byte) bool {
	for i := len(authority) - 1; i >= 0; i-- {
		switch authority[i] {
		case ':':
			return true
		case ']':
			return false
		}
	}
	return false
}

// absoluteForm splits "http://authority/path?query". The query is known already.
func (h *Head) absoluteForm(b, t []byte) *message.Refusal {
	scheme := schemeLen(t)
	if scheme == 0 {
		return notAbsolute(t)
	}
	rest := h.Path.In(b) // up to the query
	if len(rest) <= scheme {
		return badAuthority
	}
	rest = rest[scheme:]
	n := bytes.IndexByte(rest, '/')
	if n < 0 {
		n = len(rest)
	}
	// Userinfo has no place in a request and serves to disguise hosts (RFC 9110 4.2.4); its "@" is not allowed in a host.
	if n == 0 || rest[0] == ':' || !ValidHost(rest[:n]) {
		return badAuthority
	}
	at := h.Target.Off + uint32(scheme)
	h.authority = Span{at, uint32(n)}
	h.Path = Span{at + uint32(n), uint32(len(rest) - n)}
	if h.Path.Len == 0 {
		h.Path = Span{at - 1, 1} // an empty path means "/"; one precedes the authority
	}
	h.PathEscaped = bytes.IndexByte(h.Path.In(b), '%') >= 0
	return nil
}

// schemeLen is the length of "http://" or "https://" at the start of t; 0 if there is neither.
func schemeLen(t []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(t) >= len(scheme) && octet.EqualFold(t[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

func notAbsolute(t []byte) *message.Refusal {
	if bytes.Contains(t, []byte("://")) {
		return badScheme
	}
	return badForm
}

// ValidHost checks uri-host [ ":" port ] (RFC 9110 7.2, RFC 3986 3.2.2). It may be empty: a client without an authority sends an empty
// Host. A comma, which RFC 3986 would allow, is refused: an intermediary that joins two Host lines puts a comma between them.
func ValidHost(v []byte) bool {
	if len(v) > 0 && v[0] == '[' {
		return validIPv6(v)
	}
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case octet.Class[c]&octet.RegName != 0:
		case c == ':':
			return validPort(v[i+1:])
		case c == '%' && i+2 < len(v) && octet.Class[v[i+1]]&octet.Class[v[i+2]]&octet.HexDig != 0:
			i += 2
		default:
			return false
		}
	}
	return true
}

// validIPv6 checks the octets of "[" IPv6address "]" [ ":" port ], but not their order.
func validIPv6(v []byte) bool {
	colons := 0
	for i := 1; i < len(v); i++ {
		switch c := v[i]; {
		case c == ':':
			colons++
		case c == ']':
			rest := v[i+1:]
			return colons >= 2 && (len(rest) == 0 || rest[0] == ':' && validPort(rest[1:]))
		case octet.Class[c]&octet.HexDig == 0 && c != '.':
			return false
		}
	}
	return false
}

// validPort checks *DIGIT up to 65535; RFC 3986 3.2.3 allows it to be empty.
func validPort(v []byte) bool {
	port := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
		if port = port*10 + int(c-'0'); port > 65535 {
			return false
		}
	}
	return true
}
