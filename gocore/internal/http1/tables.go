// Classes of octets, and eight octets at a time.  per byte

package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of octets, one bit each.
const (
	token   uint8 = 1 << iota // tchar, RFC 9110 5.6.2
	text                      // field-vchar, SP and HTAB: what a field value may hold, RFC 9110 5.5
	target                    // what a request target may hold: see scanTarget
	regName                   // reg-name but for "%" and ",", RFC 3986 3.2.2: see validHost
	hexDig                    // HEXDIG, either case
)

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var class = classes()

func classes() (t [256]uint8) {
	mark := func(octets string, c uint8) {
		for i := range len(octets) {
			t[octets[i]] |= c
		}
	}
	mark(digits+letters, token|regName)
	mark("!#$%&'*+-.^_`|~", token)
	mark("-._~!$&'()*+;=", regName)
	mark(digits+"abcdefABCDEF", hexDig)
	mark("\t", text)
	for c := 0x20; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= text
		}
	}
	for c := 0x21; c <= 0x7e; c++ {
		if c != '#' {
			t[c] |= target
		}
	}
	return t
}

// folded holds for each tchar its lower case, and 0 for all other octets.
var folded = foldedTokens()

func foldedTokens() (t [256]uint8) {
	for c := range t {
		switch {
		case class[c]&token == 0:
		case 'A' <= c && c <= 'Z':
			t[c] = uint8(c) + 'a' - 'A'
		default:
			t[c] = uint8(c)
		}
	}
	return t
}

// A word is eight octets, the first one lowest. In a mask of a word the highest bit of an octet
// stands for the octet; only the lowest one set is exact, as a borrow may run upwards from it.
const (
	each  = 0x0101010101010101 // times c: a word of eight c
	highs = 0x80 * each
)

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

func store(b []byte, i int, w uint64) { binary.LittleEndian.PutUint64(b[i:], w) }

// lowest is the index of the lowest octet in a mask that is not 0.
func lowest(mask uint64) int { return bits.TrailingZeros64(mask) >> 3 }

// below masks the octets less than c, for c up to 0x80.
func below(w uint64, c uint64) uint64 { return (w - c*each) &^ w & highs }

// equal masks the octets equal to c.
func equal(w uint64, c uint64) uint64 { return below(w^c*each, 1) }

// lower turns A-Z into a-z and leaves every other octet as it is. It is exact: setting 0x20
// everywhere would make CR a hyphen.
func lower(w uint64) uint64 {
	low := w &^ highs
	upper := (low + (0x80-'A')*each) ^ (low + (0x7f-'Z')*each)
	return w | (upper&^w&highs)>>2
}

// equalFold says whether v is want but for case; want is lower case.
func equalFold(v []byte, want string) bool {
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

// trim cuts optional whitespace (RFC 9110 5.6.3) off both ends.
func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}
