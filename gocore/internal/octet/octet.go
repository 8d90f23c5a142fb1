// Package octet classifies octets, and examines eight of them at a time.
package octet

import (
	"encoding/binary"
	"math/bits"
)

// Classes, one bit each.
const (
	Token   uint8 = 1 << iota // tchar, RFC 9110 5.6.2
	Text                      // field-vchar, SP and HTAB: what a field value may hold, RFC 9110 5.5
	Target                    // allowed in a request target: see http1
	RegName                   // reg-name except "%" and ",", RFC 3986 3.2.2: see http1
	HexDig                    // HEXDIG, either case
)

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// Class has the classes of each octet.
var Class = classes()

func classes() (t [256]uint8) {
	mark := func(octets string, c uint8) {
		for i := range len(octets) {
			t[octets[i]] |= c
		}
	}
	mark(digits+letters, Token|RegName)
	mark("!#$%&'*+-.^_`|~", Token)
	mark("-._~!$&'()*+;=", RegName)
	mark(digits+"abcdefABCDEF", HexDig)
	mark("\t", Text)
	for c := 0x20; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= Text
		}
	}
	for c := 0x21; c <= 0x7e; c++ {
		if c != '#' {
			t[c] |= Target
		}
	}
	return t
}

// Folded has the lower case of each tchar, and 0 for all other octets.
var Folded = foldedTokens()

func foldedTokens() (t [256]uint8) {
	for c := range t {
		switch {
		case Class[c]&Token == 0:
		case 'A' <= c && c <= 'Z':
			t[c] = uint8(c) + 'a' - 'A'
		default:
			t[c] = uint8(c)
		}
	}
	return t
}

// A word is eight octets, the first one lowest. In a mask of a word the highest bit of each octet stands for that octet. Only the
// lowest bit set is exact, because a borrow may carry upwards from it.
const (
	each  = 0x0101010101010101 // times c: a word of eight octets c
	Highs = 0x80 * each        // the octets that are not ASCII
)

func Load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

func Store(b []byte, i int, w uint64) { binary.LittleEndian.PutUint64(b[i:], w) }

// Lowest is the index of the lowest octet in a mask that is not 0.
func Lowest(mask uint64) int { return bits.TrailingZeros64(mask) >> 3 }

// Below masks the octets less than c, for c up to 0x80.
func Below(w uint64, c uint64) uint64 { return (w - c*each) &^ w & Highs }

// Equal masks the octets equal to c.
func Equal(w uint64, c uint64) uint64 { return Below(w^c*each, 1) }

// Lower turns A-Z into a-z and leaves every other octet unchanged. Setting 0x20 in every octet instead would turn CR into a hyphen.
func Lower(w uint64) uint64 {
	low := w &^ Highs
	upper := (low + (0x80-'A')*each) ^ (low + (0x7f-'Z')*each)
	return w | (upper&^w&Highs)>>2
}

// EqualFold tells whether v equals want, ignoring case; want is lower case.
func EqualFold(v []byte, want string) bool {
	if len(v) != len(want) {
		return false
	}
	if string(v) == want {
		return true
	}
	for i, c := range v {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// ToLower is the text with its ASCII letters in lower case. (strings.ToLower would add Unicode's tables to the core.)
func ToLower(text []byte) string {
	lower := make([]byte, len(text))
	for i, c := range text {
		if lower[i] = c; 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}

// Trim removes optional whitespace (RFC 9110 5.6.3) from both ends.
func Trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

// IsToken tells whether name is a valid field name (RFC 9110 5.6.2).
func IsToken(name []byte) bool {
	for _, c := range name {
		if Class[c]&Token == 0 {
			return false
		}
	}
	return len(name) > 0
}

// IsText tells whether value has no control octet except HTAB, so that it cannot end its line or the head.
func IsText(value []byte) bool {
	i := NextControl(value, 0)
	for i < len(value) && value[i] == '\t' {
		i = NextControl(value, i+1)
	}
	return i >= len(value)
}

// NextControl returns the index of the first control octet (HTAB is one) from i on, or len(b).
func NextControl(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		w := Load(b, i)
		if mask := Below(w, ' ') | Equal(w, 0x7f); mask != 0 {
			return i + Lowest(mask)
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != 0x7f {
		i++
	}
	return i
}
