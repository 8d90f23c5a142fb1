// Field lines of a request head (RFC 9112 5).

package http1

import (
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// fieldLines parses the field lines from i on, and the empty line after them; it returns the index after that.
func (h *Head) fieldLines(b []byte, i int, m *meaning) (int, *message.Refusal) {
	fields := h.Fields[:0:min(cap(h.Fields), h.Limits.Fields)]
	for {
		if i >= len(b) {
			return 0, more
		}
		if b[i] <= ' ' {
			h.Fields = fields
			return notAField(b, i, len(fields))
		}
		n, id, r := fieldName(b, i)
		if r != nil {
			return 0, r
		}
		from := i + n + 1
		for from < len(b) && (b[from] == ' ' || b[from] == '\t') {
			from++
		}
		at, next, r := valueEnd(b, from)
		if r != nil {
			return 0, r
		}
		for at > from && (b[at-1] == ' ' || b[at-1] == '\t') {
			at--
		}
		if len(fields) == cap(fields) {
			return 0, TooManyFields
		}
		fields = append(fields, Field{span(i, i+n), span(from, at), id})
		if id != 0 && id < idsRead {
			if r := m.read(h, id, b[from:at], len(fields)-1); r != nil {
				return 0, r
			}
		}
		i = next
	}
}

// notAField parses a line that starts with a control or a space, after count fields: the end of the head, or an error.
func notAField(b []byte, i, count int) (int, *message.Refusal) {
	switch c := b[i]; {
	case c == '\r' || c == '\n':
		return lineEnd(b, i)
	case c != ' ' && c != '\t':
		return 0, badName
	case count == 0:
		return 0, leadingSpace
	}
	return 0, foldedLine
}

// fieldName parses the name at i, up to its colon, and makes it lower case.
func fieldName(b []byte, i int) (n int, id uint32, r *message.Refusal) {
	n = colonNear(b, i)
	if n <= 0 {
		return shortName(b, i)
	}
	if id = lookup(b, i, n); id == 0 {
		n, r = anyName(b, i)
	}
	return n, id, r
}

// colonNear is the distance from i to the first colon, if that is within the length of a known name and in a whole word before the
// end of b; else -1.
func colonNear(b []byte, i int) int {
	for at := 0; at < maxKnownName && len(b)-i-at >= 8; at += 8 {
		if mask := octet.Equal(octet.Load(b, i+at), ':'); mask != 0 {
			return at + octet.Lowest(mask)
		}
	}
	return -1
}

// shortName parses a name in the last few octets of b, which words do not reach, or a long or invalid name.
func shortName(b []byte, i int) (n int, id uint32, r *message.Refusal) {
	n, r = anyName(b, i)
	if r != nil || n > maxKnownName {
		return n, 0, r
	}
	var padded [maxKnownName + 1]byte
	copy(padded[:], b[i:i+n])
	return n, lookup(padded[:], 0, n), nil
}

// anyName parses a name octet by octet: an unknown or invalid one, or one that may continue after b.
func anyName(b []byte, i int) (int, *message.Refusal) {
	for at := i; at < len(b); at++ {
		c := octet.Folded[b[at]]
		if c == 0 {
			return at - i, nameStop(b, i, at)
		}
		b[at] = c
	}
	return 0, more
}

// nameStop tells what the octet at i, the first that is not allowed in a token, means for a name that started at from.
func nameStop(b []byte, from, i int) *message.Refusal {
	switch b[i] {
	case ':':
		if i == from {
			return emptyName
		}
		return nil
	case ' ', '\t':
		return spaceInName
	case '\r', '\n':
		if _, r := lineEnd(b, i); r != nil {
			return r
		}
		return noColon
	}
	return badName
}

// valueEnd returns the end of the value that continues at i, and the start of the next line.
func valueEnd(b []byte, i int) (end, next int, r *message.Refusal) {
	for {
		i = octet.NextControl(b, i)
		if i >= len(b) {
			return 0, 0, more
		}
		switch b[i] {
		case '\r', '\n':
			next, r = lineEnd(b, i)
			return i, next, r
		case '\t':
			i++
		default:
			return 0, 0, controlInValue
		}
	}
}
