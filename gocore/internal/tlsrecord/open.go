// Records from the peer: opened in place.

package tlsrecord

// Open opens whole records at the front of b in place and moves their plaintext to the front, until it is at least enough octets or no
// record is complete. used is how many octets of b the records took. With a failure the session has ended; plaintext before it counts.
func (s *Session) Open(k *Keys, b []byte, enough int) (plain, used int, failure *Failure) {
	for plain < enough {
		n, failure := Whole(b[used:])
		if n == 0 || failure != nil {
			return plain, used, failure
		}
		data, kind, failure := s.open(&k.open, b[used:used+n])
		if failure == nil {
			used += n
			failure = s.take(k, kind, data)
		}
		if failure != nil {
			return plain, used, failure
		}
		if kind == typeData {
			plain += copy(b[plain:], data)
		}
	}
	return plain, used, nil
}

// take handles what is not data, and counts records without data.
func (s *Session) take(k *Keys, kind byte, data []byte) (failure *Failure) {
	if s.partial > 0 && kind != typeHandshake {
		return unexpectedType // RFC 8446 5.1: nothing stands between the parts of a message
	}
	if kind == typeData && len(data) > 0 {
		s.idle = 0
		return nil
	}
	if s.idle++; s.idle > mostIdle {
		return useless
	}
	switch kind {
	case typeData:
		return nil
	case typeAlert:
		return s.alerted(data)
	case typeHandshake:
		return s.handshake(k, data)
	}
	return unexpectedType
}

// open opens one record.
func (s *Session) open(k *keys, record []byte) (data []byte, kind byte, failure *Failure) {
	if s.in.seq == 1<<64-1 {
		return nil, 0, exhausted
	}
	if s.Version == TLS13 {
		return s.open13(k, record)
	}
	return s.open12(k, record)
}

func (s *Session) open13(k *keys, record []byte) (data []byte, kind byte, failure *Failure) {
	header, body := record[:HeaderBytes], record[HeaderBytes:]
	switch {
	case record[0] != typeData:
		return nil, 0, unexpectedType
	case len(body) > maxBody13:
		return nil, 0, tooLong
	}
	data, err := k.aead.Open(body[:0], k.sequenceNonce(s.in.seq), body, header)
	if err != nil {
		return nil, 0, badRecord
	}
	s.in.seq++
	end := len(data)
	for end > 0 && data[end-1] == 0 { // padding
		end--
	}
	switch {
	case end == 0:
		return nil, 0, noContentType
	case end-1 > MaxPlainBytes:
		return nil, 0, tooLong
	}
	return data[:end-1], data[end-1], nil
}

func (s *Session) open12(k *keys, record []byte) (data []byte, kind byte, failure *Failure) {
	kind, body := record[0], record[HeaderBytes:]
	if record[1] != TLS12>>8 || record[2] != TLS12&0xff {
		return nil, 0, wrongVersion
	}
	if len(body) < s.explicitBytes()+tagBytes {
		return nil, 0, badRecord
	}
	var nonce []byte
	if isChaCha(s.Suite) {
		nonce = k.sequenceNonce(s.in.seq)
	} else {
		nonce = k.explicitNonce(body[:explicitBytes])
		body = body[explicitBytes:]
	}
	data, err := k.aead.Open(body[:0], nonce, body, k.additional(s.in.seq, kind, len(body)-tagBytes))
	if err != nil {
		return nil, 0, badRecord
	}
	s.in.seq++
	if len(data) > MaxPlainBytes {
		return nil, 0, tooLong
	}
	return data, kind, nil
}

const explicitBytes = 8

// explicitBytes is the part of the nonce that each record contains.
func (s *Session) explicitBytes() int {
	if s.Version == TLS13 || isChaCha(s.Suite) {
		return 0
	}
	return explicitBytes
}
