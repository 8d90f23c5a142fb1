package tlsrecord

import (
	"bytes"
	"testing"
)

// FuzzOpen: the fuzzer writes the records of a peer that has the keys, and then damages the stream. Whatever arrives, in any pieces:
// data is what the peer has sealed, in order, and nothing is read beyond the input.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), []byte{typeData, 3, 'a', 'b', 'c', typeHandshake, 5, keyUpdate, 0, 0, 1, 1, typeData, 1, 'd'}, uint16(0), byte(0), uint16(7))
	f.Add(uint8(3), []byte{typeData, 3, 'a', 'b', 'c', typeAlert, 2, 1, 0}, uint16(2), byte(1), uint16(20))
	f.Fuzz(func(t *testing.T, which uint8, script []byte, at uint16, change byte, cut uint16) {
		one := suites[int(which)%len(suites)]
		server, peer := pair(one.version, one.suite)
		var stream, want []byte
		for len(script) > 2 {
			kind, n := max(script[0], 1), min(int(script[1]), len(script)-2) // 0 would be padding: what precedes it were the kind
			data := script[2 : 2+n]
			script = script[2+n:]
			stream = append(stream, peer.sealed(kind, data)...)
			if kind == typeData {
				want = append(want, data...)
			}
			if one.version == TLS13 && kind == typeHandshake && n == keyUpdateBytes && data[0] == keyUpdate {
				peer.Keys.seal.next(&peer.Session, &peer.out)
			}
		}
		if len(stream) > 0 {
			stream[int(at)%len(stream)] ^= change
		}
		var got []byte
		var failure *Failure
		for held := 0; failure == nil && held < len(stream); {
			end := min(held+1+int(cut), len(stream))
			plain, used, why := server.opens(stream[:end])
			if used > end || len(plain) > used {
				t.Fatal(used, end, len(plain))
			}
			got, failure = append(got, plain...), why
			stream = stream[used:]
			held = end - used
		}
		if !bytes.HasPrefix(want, got) {
			t.Fatalf("%q is not the beginning of %q", got, want)
		}
	})
}

// FuzzNoise: input of a peer without the keys gives no data.
func FuzzNoise(f *testing.F) {
	f.Add(uint8(0), []byte{typeData, 3, 3, 0, 20, 20: 1})
	f.Add(uint8(4), []byte{typeData, 3, 3, 0, 30, 34: 1})
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		one := suites[int(which)%len(suites)]
		server, _ := pair(one.version, one.suite)
		if plain, _, _ := server.opens(raw); len(plain) > 0 {
			t.Fatalf("%x became %x", raw, plain)
		}
	})
}
