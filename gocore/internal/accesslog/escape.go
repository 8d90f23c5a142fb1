// Values of a request in a line: nothing that a peer sends ends the line, a quoted value or a JSON string.

package accesslog

import (
	"unicode/utf8"

	"saltare/gocore/internal/octet"
)

const hex = "0123456789abcdef"

// cutMark ends a value of which the rest does not fit.
const cutMark = "..."

// escape appends a value to a line, escaped for it, in at most `most` octets.
type escape func(to, value []byte, most int) []byte

// plain has the octets that both kinds of line take as they are.
var plain = plainOctets()

func plainOctets() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}

// clean is the length of the part of value that needs no escape.
func clean(value []byte) int {
	i := 0
	for ; len(value)-i >= 8; i += 8 {
		w := octet.Load(value, i)
		if octet.Below(w, ' ')|octet.Equal(w, 0x7f)|octet.Equal(w, '"')|octet.Equal(w, '\\')|w&octet.Highs != 0 {
			break
		}
	}
	for i < len(value) && plain[value[i]] {
		i++
	}
	return i
}

// escapeText writes every octet that is not printable ASCII, and quotes and backslashes, as \xHH.
func escapeText(to, value []byte, most int) []byte {
	return appendEscaped(to, value, most, func(to, value []byte) ([]byte, int) {
		c := value[0]
		return append(to, '\\', 'x', hex[c>>4], hex[c&15]), 1
	})
}

// escapeJSON writes a value for the inside of a JSON string, in ASCII. An octet that is not UTF-8 becomes U+FFFD.
func escapeJSON(to, value []byte, most int) []byte {
	return appendEscaped(to, value, most, func(to, value []byte) ([]byte, int) {
		if c := value[0]; c == '"' || c == '\\' {
			return append(to, '\\', c), 1
		}
		r, n := utf8.DecodeRune(value)
		if r > 0xffff {
			r -= 0x10000
			return appendUnit(appendUnit(to, 0xd800+r>>10), 0xdc00+r&0x3ff), n
		}
		return appendUnit(to, r), n
	})
}

// appendUnit appends a UTF-16 code unit.
func appendUnit(to []byte, u rune) []byte {
	return append(to, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}

// appendEscaped appends value; escaped appends what stands for its first octets, and returns how many those are.
func appendEscaped(to, value []byte, most int, escaped func(to, value []byte) ([]byte, int)) []byte {
	start := len(to)
	for len(value) > 0 {
		n := clean(value)
		if len(to)-start+n > most {
			return cut(to, value[:max(most-(len(to)-start), 0)], start, most)
		}
		to, value = append(to, value[:n]...), value[n:]
		if len(value) == 0 {
			break
		}
		before := len(to)
		if to, n = escaped(to, value); len(to)-start > most {
			return cut(to[:before], nil, start, most)
		}
		value = value[n:]
	}
	return to
}

// cut appends what still fits, and marks the end of the value as missing. An escape is left out whole.
func cut(to, fits []byte, start, most int) []byte {
	to = append(to, fits...)
	end := start
	for end < len(to) {
		n := unitLen(to[end:])
		if end+n-start > most-len(cutMark) {
			break
		}
		end += n
	}
	return append(to[:end], cutMark...)
}

// unitLen is the length of what b begins with: an escape, or an octet that needs none.
func unitLen(b []byte) int {
	switch {
	case b[0] != '\\':
		return 1
	case b[1] == 'x':
		return len(`\x00`)
	case b[1] == 'u':
		return len(`\u0000`)
	}
	return len(`\\`)
}
