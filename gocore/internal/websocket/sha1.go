// SHA-1 (RFC 3174) of the one message of two blocks that a handshake needs. It secures nothing here: it only proves to the peer that
// its key was read. The standard library's SHA-1 costs every process 150 KiB.

package websocket

import (
	"encoding/binary"
	"math/bits"
)

// sha1 is the digest of at least 56 and at most 119 octets, which are two blocks.
func sha1(message []byte) (digest [20]byte) {
	var padded [128]byte
	padded[copy(padded[:], message)] = 0x80
	binary.BigEndian.PutUint64(padded[120:], uint64(len(message))*8)
	state := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	sha1Block(&state, padded[:64])
	sha1Block(&state, padded[64:])
	for i, word := range state {
		binary.BigEndian.PutUint32(digest[4*i:], word)
	}
	return digest
}

func sha1Block(state *[5]uint32, block []byte) {
	var w [80]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < 80; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	a, b, c, d, e := state[0], state[1], state[2], state[3], state[4]
	for i, word := range w {
		var mixed, constant uint32
		switch i / 20 {
		case 0:
			mixed, constant = b&c|^b&d, 0x5a827999
		case 1:
			mixed, constant = b^c^d, 0x6ed9eba1
		case 2:
			mixed, constant = b&c|b&d|c&d, 0x8f1bbcdc
		default:
			mixed, constant = b^c^d, 0xca62c1d6
		}
		a, b, c, d, e = bits.RotateLeft32(a, 5)+mixed+e+constant+word, a, bits.RotateLeft32(b, 30), c, d
	}
	for i, word := range [5]uint32{a, b, c, d, e} {
		state[i] += word
	}
}
