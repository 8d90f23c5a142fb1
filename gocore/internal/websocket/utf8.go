// UTF-8, checked as it arrives (RFC 3629 4): the octet that makes it wrong is the last one that is looked at.

package websocket

import "encoding/binary"

// utf8State is where the text so far ends. The zero value is between two characters.
type utf8State struct {
	missing   uint8 // octets of the character under way
	low, high uint8 // what the next of them may be
}

const (
	ascii8    = 0x8080808080808080 // the bits that eight octets of ASCII do not have
	tailLow   = 0x80
	tailHigh  = 0xbf
	firstLead = 0xc2
)

// leads has, for each octet that may begin a character of more than one, what has to follow it.
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
	t[0xe0-firstLead].low = 0xa0  // shorter forms exist
	t[0xed-firstLead].high = 0x9f // surrogates
	t[0xf0-firstLead].low = 0x90  // shorter forms exist
	t[0xf4-firstLead].high = 0x8f // beyond U+10FFFF
	return t
}

// check takes the next octets of the text; false when it can't be UTF-8 any more.
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

// whole tells whether the text does not end within a character.
func (u *utf8State) whole() bool { return u.missing == 0 }

func validUTF8(b []byte) bool {
	var u utf8State
	return u.check(b) && u.whole()
}
