// UTF-8: the same verdict as the standard library's, at the first octet that allows it.

package websocket

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

func TestEveryBeginningOfACharacter(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			for _, rest := range []string{"", "\x80", "\x80\x80", "\xbf\xbf", "a", "\x80a", "\xc2"} {
				b := append([]byte{byte(first), byte(second)}, rest...)
				if got := validUTF8(b); got != utf8.Valid(b) {
					t.Errorf("% x: %v", b, got)
				}
			}
		}
	}
}

func TestWhatCannotBecomeUTF8IsSeenAtOnce(t *testing.T) {
	for _, c := range []struct {
		b  string
		ok int // octets that may still become text
	}{
		{"a\xff", 1}, {"\xc0\x80", 0}, {"\xe0\x9f", 1}, {"\xed\xa0", 1}, {"\xf0\x8f", 1}, {"\xf4\x90", 1}, {"\xf5", 0}, {"\xe2\x82a", 2},
		{"abcdefgh\x80", 8}, {"abcdefghi\xe2\x28", 10},
	} {
		for n := 1; n <= len(c.b); n++ {
			var u utf8State
			if got := u.check([]byte(c.b[:n])); got != (n <= c.ok) {
				t.Errorf("%q: %v", c.b[:n], got)
			}
		}
	}
}

func TestTextInPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		b := []byte(string([]rune{rune(random.IntN(0x11_0000)), 'a', rune(random.IntN(0x800)), rune(random.IntN(0x1_0000))}) + "plain old ASCII")
		if random.IntN(2) == 0 {
			b[random.IntN(len(b))] ^= byte(1 << random.IntN(8))
		}
		cut := random.IntN(len(b) + 1)
		var u utf8State
		got := u.check(b[:cut]) && u.check(b[cut:]) && u.whole()
		if got != utf8.Valid(b) {
			t.Fatalf("%q cut at %d: %v", b, cut, got)
		}
	}
}
