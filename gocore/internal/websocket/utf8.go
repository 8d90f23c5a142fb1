// Incremental UTF-8 validation (RFC 3629 4), which fails at the first octet that makes the text invalid.

package websocket

import "encoding/binary"

// utf8State is the state at the end of the text so far. The zero value is between two characters.
type utf8State struct {
	missing   uint8 // octets to come of the current character
	low, high uint8 // allowed range of the next of them
}

const (
	ascii8    = 0x8080808080808080 // the bits that are not set in eight octets of ASCII
	tailLow   = 0x80
	tailHigh  = 0xbf
	firstLead = 0xc2
)

// leads has, for each lead octet of a multi-octet character, what must follow it.
var leads = utf8Leads()

func utf8Leads() (t [0xf5 - firstLead]utf8State) {
	for c := range t {
		lead := c + firstLead
		switch {
		case lead < 0xe0:
			t[c] = utf8State{1, tailLow, tailHigh}
		case lead < 0xf0:
			t[c] = utf8State{2, tailLow, tailHigh}
		default:
			t[c] = utf8State{3, tailLow, tailHigh}
		}
	}
	t[0xe0-firstLead].low = 0xa0  // overlong forms
	t[0xed-firstLead].high = 0x9f // surrogates
	t[0xf0-firstLead].low = 0x90  // overlong forms
	t[0xf4-firstLead].high = 0x8f // beyond U+10FFFF
	return t
}

// check processes the next octets of the text; false if they make it invalid.
func (u *utf8State) check(b []byte) bool {
	s := *u
	for i := 0; i < len(b); i++ {
		if s.missing == 0 {
			for len(b)-i >= 8 && binary.LittleEndian.Uint64(b[i:])&ascii8 == 0 {
				i += 8
			}
			for i < len(b) && b[i] < 0x80 {
				i++
			}
			if i == len(b) {
				break
			}
			lead := int(b[i]) - firstLead
			if lead < 0 || lead >= len(leads) {
				return false
			}
			s = leads[lead]
			continue
		}
		if b[i] < s.low || b[i] > s.high {
			return false
		}
		s = utf8State{s.missing - 1, tailLow, tailHigh}
	}
	*u = s
	return true
}

// whole tells whether the text ends between two characters.
func (u *utf8State) whole() bool { return u.missing == 0 }

func validUTF8(b []byte) bool {
	var u utf8State
	return u.check(b) && u.whole()
}
