// What a direction needs while records are opened or sealed.

package tlsrecord

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	nonceBytes = 12
	saltBytes  = 4 // of the nonce in TLS 1.2 with AES: the rest is in each record
)

// keys are the cipher of one direction, and room for what it needs with each record.
type keys struct {
	aead  cipher.AEAD
	iv    [nonceBytes]byte
	nonce [nonceBytes]byte
	data  [13]byte // additional data of TLS 1.2
}

// Keys are both directions of a session.
type Keys struct{ open, seal keys }

// Make derives the keys of a session.
func (k *Keys) Make(s *Session) {
	k.open.make(s, &s.in)
	k.seal.make(s, &s.out)
}

func (k *keys) make(s *Session, of *half) {
	n := keyBytes(s.Suite)
	key := of.secret[:n]
	if s.Version == TLS13 {
		digest := hashOf(s.Suite)
		secret := of.secret[:digest().Size()]
		key = expandLabel(digest, secret, "key", n)
		copy(k.iv[:], expandLabel(digest, secret, "iv", nonceBytes))
	} else {
		copy(k.iv[:], of.secret[n:])
	}
	k.aead = newAEAD(s.Suite, key)
}

// newAEAD never fails: the key has the length of the suite.
func newAEAD(suite uint16, key []byte) cipher.AEAD {
	if isChaCha(suite) {
		aead, err := chacha20poly1305.New(key)
		return must(aead, err)
	}
	block, err := aes.NewCipher(key)
	aead, err := cipher.NewGCM(must(block, err))
	return must(aead, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sequenceNonce is the nonce of record seq (RFC 8446 5.3, RFC 7905 2).
func (k *keys) sequenceNonce(seq uint64) []byte {
	k.nonce = k.iv
	for i := range 8 {
		k.nonce[4+i] ^= byte(seq >> (56 - 8*i))
	}
	return k.nonce[:]
}

// explicitNonce is the nonce of a record that contains a part of it (RFC 5288 3).
func (k *keys) explicitNonce(part []byte) []byte {
	copy(k.nonce[:saltBytes], k.iv[:])
	copy(k.nonce[saltBytes:], part)
	return k.nonce[:]
}

// additional is the additional data of record seq in TLS 1.2, with n octets of plaintext (RFC 5246 6.2.3.3).
func (k *keys) additional(seq uint64, kind byte, n int) []byte {
	binary.BigEndian.PutUint64(k.data[:], seq)
	k.data[8], k.data[9], k.data[10] = kind, TLS12>>8, TLS12&0xff
	binary.BigEndian.PutUint16(k.data[11:], uint16(n))
	return k.data[:]
}

// next replaces the secret of the direction and its keys (RFC 8446 7.2).
func (k *keys) next(s *Session, of *half) {
	digest := hashOf(s.Suite)
	secret := of.secret[:digest().Size()]
	copy(secret, expandLabel(digest, secret, "traffic upd", len(secret)))
	of.seq = 0
	k.make(s, of)
}

func hashOf(suite uint16) func() hash.Hash {
	switch suite {
	case AES256GCM13, ECDSAWithAES256GCM, RSAWithAES256GCM:
		return sha512.New384
	}
	return sha256.New
}

func keyBytes(suite uint16) int {
	switch suite {
	case AES128GCM13, ECDSAWithAES128GCM, RSAWithAES128GCM:
		return 16
	}
	return 32
}

func isChaCha(suite uint16) bool {
	return suite == ChaCha13 || suite == RSAWithChaCha || suite == ECDSAWithChaCha
}

// expandLabel is HKDF-Expand-Label without a context (RFC 8446 7.1).
func expandLabel(digest func() hash.Hash, secret []byte, label string, n int) []byte {
	const prefix = "tls13 "
	info := make([]byte, 0, 32)
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(info, prefix...), label...)
	info = append(info, 0)
	out, err := hkdf.Expand(digest, secret, string(info), n)
	return must(out, err)
}
