// What the peer may send besides data: alerts, and in TLS 1.3 KeyUpdate.

package tlsrecord

const (
	keyUpdate      = 24 // RFC 8446 B.3
	keyUpdateBytes = 5

	// mostIdle is how many records in a row may carry no data. More end the session, because each costs work and brings nothing.
	mostIdle = 32
)

// alerted handles an alert. The level counts only in TLS 1.2 (RFC 8446 6, RFC 5246 7.2).
func (s *Session) alerted(alert []byte) *Failure {
	switch {
	case len(alert) != 2:
		return badAlert
	case alert[1] == closeNotify:
		return Closed
	case alert[1] == userCanceled, s.Version == TLS12 && alert[0] == levelWarning:
		return nil
	}
	return Alerted
}

// handshake collects a handshake message: KeyUpdate, which may arrive in parts. It must be the last one in its record, because what
// follows is sealed with the next key (RFC 8446 5.1).
func (s *Session) handshake(k *Keys, data []byte) *Failure {
	switch {
	case s.Version == TLS12:
		return renegotiation
	case len(data) == 0, len(data) > keyUpdateBytes-int(s.partial):
		return unexpectedShake
	}
	s.partial += uint8(copy(s.message[s.partial:], data))
	if s.message[0] != keyUpdate {
		return unexpectedShake
	}
	if s.partial < keyUpdateBytes {
		return nil
	}
	s.partial = 0
	if s.message[1] != 0 || s.message[2] != 0 || s.message[3] != 1 {
		return unexpectedShake
	}
	switch s.message[4] {
	case 0:
	case 1: // asks for our next key, too
		s.owes = true
	default:
		return badKeyUpdate
	}
	k.open.next(s, &s.in)
	return nil
}
