// Messages through permessage-deflate and back, and what does not inflate.  per process

package websocket

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestThereAndBack(t *testing.T) {
	random := make([]byte, 5000)
	source := rand.New(rand.NewPCG(5, 6))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	var in Inflater
	var out Deflater
	for _, message := range [][]byte{[]byte("a"), []byte("Hello"), []byte(strings.Repeat("Hello, ", 40_000)), random} {
		for bits := uint8(fewestBits); bits <= mostBits; bits++ {
			packed := out.AppendDeflated([]byte("before"), message, Deflate{WindowBits: bits})
			back, failure := in.Inflate([]byte("x"), packed[len("before"):], uint64(len(message)), false)
			if failure != nil || string(back) != "x"+string(message) {
				t.Errorf("%d octets with %d bits: %d octets, %v", len(message), bits, len(back), failure)
			}
		}
	}
}

func TestExamplesOfTheRFC(t *testing.T) {
	var in Inflater
	for name, packed := range map[string]string{
		"one block":      "\xf2\x48\xcd\xc9\xc9\x07\x00",
		"no compression": "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
		"a last block":   "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"two blocks":     "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
	} {
		if got, failure := in.Inflate(nil, []byte(packed), 100, true); string(got) != "Hello" || failure != nil {
			t.Errorf("%s: %q, %v", name, got, failure)
		}
	}
}

func TestWhatDoesNotInflate(t *testing.T) {
	var in Inflater
	var out Deflater
	bomb := out.AppendDeflated(nil, bytes.Repeat([]byte{'a'}, 10<<20), Deflate{WindowBits: mostBits})
	half := out.AppendDeflated(nil, []byte("half a character \xe2\x82"), Deflate{WindowBits: mostBits})
	for name, c := range map[string]struct {
		packed []byte
		want   *Failure
	}{
		"garbage": {[]byte("\xff\xff\xff\xff"), badDeflate}, "cut short": {[]byte("\xf2\x48\xcd"), badDeflate},
		"a bomb": {bomb, tooBig}, "half a character": {half, notUTF8},
	} {
		got, failure := in.Inflate(nil, c.packed, 1<<20, true)
		if failure != c.want || cap(got) > 4<<20 {
			t.Errorf("%s: %d octets, %v", name, cap(got), failure)
		}
	}
	if got, failure := in.Inflate(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5, true); string(got) != "Hello" || failure != nil {
		t.Errorf("afterwards %q, %v", got, failure)
	}
}
