// Messages through permessage-deflate and back, and data that does not inflate.

package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
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
			packed := out.AppendDeflated([]byte("before"), message, nil, Deflate{WindowBits: bits})
			back, failure := in.Inflate([]byte("x"), packed[len("before"):], nil, uint64(len(message)), false)
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
		if got, failure := in.Inflate(nil, []byte(packed), nil, 100, true); string(got) != "Hello" || failure != nil {
			t.Errorf("%s: %q, %v", name, got, failure)
		}
	}
}

func TestWhatDoesNotInflate(t *testing.T) {
	var in Inflater
	var out Deflater
	bomb := out.AppendDeflated(nil, bytes.Repeat([]byte{'a'}, 10<<20), nil, Deflate{WindowBits: mostBits})
	half := out.AppendDeflated(nil, []byte("half a character \xe2\x82"), nil, Deflate{WindowBits: mostBits})
	for name, c := range map[string]struct {
		packed []byte
		want   *Failure
	}{
		"garbage": {[]byte("\xff\xff\xff\xff"), badDeflate}, "cut short": {[]byte("\xf2\x48\xcd"), badDeflate},
		"a bomb": {bomb, tooBig}, "half a character": {half, notUTF8},
	} {
		got, failure := in.Inflate(nil, c.packed, nil, 1<<20, true)
		if failure != c.want || cap(got) > 4<<20 {
			t.Errorf("%s: %d octets, %v", name, cap(got), failure)
		}
	}
	if got, failure := in.Inflate(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), nil, 5, true); string(got) != "Hello" || failure != nil {
		t.Errorf("afterwards %q, %v", got, failure)
	}
}

// With context takeover: unchanged, within the negotiated window, and shorter than without.
func TestContext(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for bits := uint8(fewestBits); bits <= mostBits; bits++ {
		d := Deflate{WindowBits: bits, KeepsSent: true, ReceivedBits: bits}
		var in Inflater
		var out Deflater
		var ours, theirs Context
		with, without := 0, 0
		for number := range 75 {
			var message []byte
			for range random.IntN(8) + 1 {
				message = fmt.Appendf(message, `{"number": %d, "price": %d, "name": "saltare", "of": ["some", "words", "that", "come", "again"]}`, number, random.IntN(1e6))
			}
			if number%25 == 24 {
				message = bytes.Repeat(message, 100)
			}
			packed := out.AppendDeflated(nil, message, ours.Sent, d)
			ours.KeepSent(message, d)
			with += len(packed)
			without += len(out.AppendDeflated(nil, message, nil, Deflate{WindowBits: bits}))
			if got := inflatedBy(t, packed, theirs.Received); !bytes.Equal(got, message) {
				t.Fatalf("%d bits, message %d: not as it was in a window of %d octets", bits, number, len(theirs.Received))
			}
			got, failure := in.Inflate(nil, packed, theirs.Received, 1<<20, true)
			if failure != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d bits, message %d: %d octets, %v", bits, number, len(got), failure)
			}
			theirs.KeepReceived(got, d)
			if len(ours.Sent) > 1<<(bits-1) || len(theirs.Received) > 1<<bits {
				t.Fatalf("%d bits: %d and %d octets are kept", bits, len(ours.Sent), len(theirs.Received))
			}
		}
		t.Logf("%d bits: %d octets with context, %d without", bits, with, without)
		if bits >= 10 && with > without*3/4 {
			t.Errorf("%d bits: %d octets with context, %d without", bits, with, without)
		}
	}
}

// inflatedBy reads a message with a reader that has only the window.
func inflatedBy(t *testing.T, packed, window []byte) []byte {
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(packed), strings.NewReader(tail)), window)
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSlide(t *testing.T) {
	for _, c := range []struct{ kept, came, want string }{
		{"", "abc", "abc"}, {"", "abcdefgh", "efgh"}, {"ab", "cd", "abcd"}, {"abc", "de", "bcde"}, {"abcd", "", "abcd"}, {"abcd", "efgh", "efgh"},
	} {
		if got := slide([]byte(c.kept), []byte(c.came), 4); string(got) != c.want {
			t.Errorf("%q and %q: %q", c.kept, c.came, got)
		}
	}
}
