// Records for the peer.

package tlsrecord

import "encoding/binary"

// mostSealed is how many records one key seals: 128 GiB of data. RFC 8446 5.5 allows AES-GCM 2^24.5 of them.
const mostSealed = 1 << 23

// SealedBytes is the most octets that AppendSealed appends for n octets of data.
func SealedBytes(n int) int {
	records := (n + MaxPlainBytes - 1) / MaxPlainBytes
	return n + (records+1)*OverheadBytes + keyUpdateBytes
}

// AppendSealed appends records with data, and before them the KeyUpdate that is due. to must not overlap data.
func (s *Session) AppendSealed(k *Keys, to, data []byte) []byte {
	if s.owes || s.Version == TLS13 && s.out.seq >= mostSealed {
		to = s.appendKeyUpdate(k, to)
	}
	for len(data) > 0 {
		n := min(len(data), MaxPlainBytes)
		to = s.seal(&k.seal, to, typeData, data[:n])
		data = data[n:]
	}
	return to
}

// appendKeyUpdate appends a KeyUpdate that asks for none in return, and changes our key (RFC 8446 4.6.3).
func (s *Session) appendKeyUpdate(k *Keys, to []byte) []byte {
	s.owes = false
	to = s.seal(&k.seal, to, typeHandshake, []byte{keyUpdate, 0, 0, 1, 0})
	k.seal.next(s, &s.out)
	return to
}

// AppendAlert appends the alert that ends the session: close_notify, or a fatal one.
func (s *Session) AppendAlert(k *Keys, to []byte, of *Failure) []byte {
	level := byte(levelFatal)
	if of.Alert == closeNotify {
		level = levelWarning
	}
	return s.seal(&k.seal, to, typeAlert, []byte{level, of.Alert})
}

// seal appends one record. TLS 1.2 has no next key, and 2^64 records are out of reach.
func (s *Session) seal(k *keys, to []byte, kind byte, data []byte) []byte {
	seq := s.out.seq
	s.out.seq++
	if s.Version == TLS13 {
		at := len(to) + HeaderBytes
		n := len(data) + 1 + tagBytes
		to = append(to, typeData, TLS12>>8, TLS12&0xff, byte(n>>8), byte(n))
		to = append(append(to, data...), kind)
		return k.aead.Seal(to[:at], k.sequenceNonce(seq), to[at:], to[at-HeaderBytes:at])
	}
	n := s.explicitBytes() + len(data) + tagBytes
	to = append(to, kind, TLS12>>8, TLS12&0xff, byte(n>>8), byte(n))
	var nonce []byte
	if isChaCha(s.Suite) {
		nonce = k.sequenceNonce(seq)
	} else { // the number of the record is a nonce that never repeats; crypto/tls used 0 for its Finished
		to = binary.BigEndian.AppendUint64(to, seq)
		nonce = k.explicitNonce(to[len(to)-explicitBytes:])
	}
	return k.aead.Seal(to, nonce, data, k.additional(seq, kind, len(data)))
}
