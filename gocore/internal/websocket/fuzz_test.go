// Any octets of a peer, cut anywhere.

package websocket

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzWebSocket requires equal results for octets in one piece and in pieces that the seed selects, and no read beyond them.
func FuzzWebSocket(f *testing.F) {
	for _, c := range conversations {
		if len(c.b) < 1000 {
			f.Add(c.b, uint64(len(c.b)), false)
			f.Add(c.b, uint64(len(c.b)), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, deflate bool) {
		fresh := func() *Decoder {
			d := decoder(1000)
			if deflate {
				d.AllowCompressed()
			}
			return d
		}
		want := said(fresh(), bytes.Clone(b))
		random := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := b; len(rest) > 0; {
			n := min(1+random.IntN(9), len(rest))
			pieces = append(pieces, rest[:n:n])
			rest = rest[n:]
		}
		if got := said(fresh(), pieces...); got != want {
			t.Errorf("in pieces %q, in one %q", got, want)
		}
	})
}

// FuzzInflate: no message produces more than its limit, or affects the next.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"))
	var in Inflater
	context := []byte(strings.Repeat("what came before ", 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, failure := in.Inflate(nil, b, context, 1000, false); failure == nil && len(got) > 1000 {
			t.Errorf("%d octets", len(got))
		}
		if got, failure := in.Inflate(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), nil, 5, true); string(got) != "Hello" || failure != nil {
			t.Errorf("then %q, %v", got, failure)
		}
	})
}
