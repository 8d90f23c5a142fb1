// The request line: method, target, version (RFC 9112 3).

package http1

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// requestLine parses the line that starts at i and returns the index of the first field line.
func (h *Head) requestLine(b []byte, i int) (int, *message.Refusal) {
	longest := i + h.Limits.LineBytes + len("\r\n")
	line := b[:min(len(b), longest)]
	next, r := h.methodTargetVersion(line, i)
	if r == more && len(line) == longest {
		return 0, LineTooLong
	}
	return next, r
}

func (h *Head) methodTargetVersion(b []byte, i int) (int, *message.Refusal) {
	at, r := methodEnd(b, i)
	if r != nil {
		return 0, r
	}
	h.Method = span(i, at)
	i = at + 1
	if at, r = h.scanTarget(b, i); r != nil {
		return 0, r
	}
	next, r := h.version(b, at+1)
	if r != nil {
		return 0, r
	}
	return next, h.form(b)
}

// methodEnd returns the index of the space after the method that starts at i.
func methodEnd(b []byte, i int) (int, *message.Refusal) {
	for at := i; at < len(b); at++ {
		c := b[at]
		if octet.Class[c]&octet.Token != 0 {
			if at-i == limits.MaxMethodBytes {
				return 0, MethodTooLong
			}
			continue
		}
		if c == ' ' && at > i {
			return at, nil
		}
		if c == 0x16 && at == i { // TLS handshake record; no method starts with a control
			return 0, TLSHello
		}
		return 0, badMethod
	}
	return 0, more
}

// version parses "HTTP/1.x" CRLF at i and returns the index after it.
func (h *Head) version(b []byte, i int) (int, *message.Refusal) {
	const http11, http10 = 0x312e312f50545448, 0x302e312f50545448 // as words
	if len(b)-i >= 8 {
		switch octet.Load(b, i) {
		case http11:
			h.Minor = 1
			return crlf(b, i+8)
		case http10:
			return crlf(b, i+8)
		}
	}
	return 0, h.otherVersion(b, i)
}

// crlf checks the CRLF that must be at i, after a version.
func crlf(b []byte, i int) (int, *message.Refusal) {
	if i >= len(b) {
		return 0, more
	}
	if b[i] != '\r' && b[i] != '\n' {
		return 0, badVersion
	}
	return lineEnd(b, i)
}

// otherVersion tells what is wrong with the version at i. RFC 9110 2.5 allows treating a higher minor version as 1.1, but none exists.
func (h *Head) otherVersion(b []byte, i int) *message.Refusal {
	for at, c := range b[i:] {
		if octet.Class[c]&octet.Text != 0 && at < len("HTTP/1.1") {
			continue
		}
		if c != '\r' && c != '\n' {
			return badVersion
		}
		if _, r := lineEnd(b, i+at); r != nil {
			return r
		}
		return h.judgeVersion(b, b[i:i+at])
	}
	return more
}

func (h *Head) judgeVersion(b, v []byte) *message.Refusal {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	if len(v) != len("HTTP/1.1") || string(v[:5]) != "HTTP/" || !isDigit(v[5]) || v[6] != '.' || !isDigit(v[7]) {
		return badVersion
	}
	if string(h.Method.In(b)) == "PRI" && string(h.Target.In(b)) == "*" && string(v) == "HTTP/2.0" {
		return HTTP2Preface
	}
	return unknownVersion
}
