// Eight octets at a time are the same as one at a time.

package octet

import (
	"bytes"
	"testing"
)

func TestLower(t *testing.T) {
	for c := range 256 {
		word := bytes.Repeat([]byte{byte(c)}, 8)
		want := uint64(c) * each
		if 'A' <= c && c <= 'Z' {
			want = uint64(c+'a'-'A') * each
		}
		if got := Lower(Load(word, 0)); got != want {
			t.Errorf("Lower(%#x) = %#x", c, got)
		}
	}
}

func TestNextControlWhereverItStands(t *testing.T) {
	for _, control := range []byte{0, '\t', '\r', '\n', 0x1f, 0x7f} {
		for length := range 40 {
			for at := range length {
				b := bytes.Repeat([]byte{'a', ' ', 0xff, 0x80, '~'}, 8)[:length]
				if n := NextControl(b, 0); n != length {
					t.Fatalf("found one at %d of %q", n, b)
				}
				b[at] = control
				if n := NextControl(b, 0); n != at {
					t.Fatalf("found one at %d, not %d, of %q", n, at, b)
				}
			}
		}
	}
}

func TestParseLength(t *testing.T) {
	for v, want := range map[string]struct {
		n        int64
		ok, fits bool
	}{
		"0": {0, true, true}, "007": {7, true, true}, "9223372036854775807": {1<<63 - 1, true, true},
		"": {0, false, true}, "+1": {-1, false, true}, "1 ": {-1, false, true}, "0x1": {-1, false, true}, "99999999999999999999x": {-1, false, true},
	} {
		if n, ok, fits := ParseLength([]byte(v)); n != want.n || ok != want.ok || fits != want.fits {
			t.Errorf("%q: %d, %v, %v", v, n, ok, fits)
		}
	}
	for _, v := range []string{"9223372036854775808", "99999999999999999999999999"} {
		if _, ok, fits := ParseLength([]byte(v)); !ok || fits {
			t.Errorf("%q: %v, %v", v, ok, fits)
		}
	}
}
