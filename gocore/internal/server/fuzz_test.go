// Whole connections under the fuzzer: any octets of a peer, cut anywhere.

package server_test

import (
	"math/rand/v2"
	"testing"
)

// FuzzConnection sends octets in one piece, then cut at places that the seed selects, and requires equal results.
func FuzzConnection(f *testing.F) {
	entries(f, func(_ string, _ int, raw []byte) {
		if len(raw) <= fewOctets {
			f.Add(raw, uint64(len(raw)))
		}
	})
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		d := openLocal(t)
		want := d.tell(false, raw)
		pieces := cutAtRandom(raw, rand.New(rand.NewPCG(seed, 0)))
		if got := d.tell(isRefusal(lastStatus(want)), pieces...); got != want {
			t.Errorf("%q\n%s\nin one piece\n%s", pieces, got, want)
		}
	})
}

// cutAtRandom makes at most a few dozen pieces, mostly short ones near the front.
func cutAtRandom(raw []byte, random *rand.Rand) (pieces [][]byte) {
	for len(raw) > 0 && len(pieces) < 24 {
		n := min(1+random.IntN(1<<(1+random.IntN(8))), len(raw))
		pieces = append(pieces, raw[:n])
		raw = raw[n:]
	}
	if len(raw) > 0 {
		pieces = append(pieces, raw)
	}
	return pieces
}
