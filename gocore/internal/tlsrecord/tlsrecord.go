// Package tlsrecord is the record layer of TLS after the handshake: TLS 1.3 (RFC 8446 5) and the AEAD suites of TLS 1.2 (RFC 5246 6.2,
// RFC 5288, RFC 7905). It reads and writes no sockets, and knows no certificates.
//
//	session.go  what a connection keeps between two records
//	keys.go     what a direction needs to open or seal them, made from the session
//	open.go     sealed bytes -> plain bytes, in place
//	seal.go     plain bytes -> sealed bytes
//	post.go     alerts and KeyUpdate from the peer
//	secrets.go  a session from the secrets of a handshake
//	cache.go    keys of the connections that are active
package tlsrecord

import "encoding/binary"

// The versions of TLS.
const (
	TLS12 = 0x0303
	TLS13 = 0x0304
)

// The cipher suites (RFC 8446 B.4, RFC 5289 3, RFC 7905 2).
const (
	AES128GCM13 = 0x1301
	AES256GCM13 = 0x1302
	ChaCha13    = 0x1303

	ECDSAWithAES128GCM = 0xc02b
	ECDSAWithAES256GCM = 0xc02c
	RSAWithAES128GCM   = 0xc02f
	RSAWithAES256GCM   = 0xc030
	RSAWithChaCha      = 0xcca8
	ECDSAWithChaCha    = 0xcca9
)

// Sizes in octets.
const (
	HeaderBytes = 5
	// MaxPlainBytes is the most plaintext of a record (RFC 8446 5.1).
	MaxPlainBytes = 16 << 10
	// MaxRecordBytes is the longest record with its header (RFC 5246 6.2.3; RFC 8446 5.2 allows less).
	MaxRecordBytes = HeaderBytes + maxBody12
	// OverheadBytes is the most that a record adds to its plaintext: header, nonce, content type and tag.
	OverheadBytes = HeaderBytes + 8 + 1 + tagBytes

	maxBody12 = MaxPlainBytes + 2048
	maxBody13 = MaxPlainBytes + 256
	tagBytes  = 16
)

// Content types (RFC 8446 5.1).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeData             = 23
)

// StartsHandshake tells whether b, with at least one octet, can begin a handshake.
func StartsHandshake(b []byte) bool { return b[0] == typeHandshake }

// Whole is the length of the record at the front of b; 0: it is incomplete. A record that is too long fails.
func Whole(b []byte) (n int, failure *Failure) {
	if len(b) < HeaderBytes {
		return 0, nil
	}
	n = HeaderBytes + int(binary.BigEndian.Uint16(b[3:]))
	switch {
	case n > MaxRecordBytes:
		return 0, tooLong
	case len(b) < n:
		return 0, nil
	}
	return n, nil
}

// Failure is why a session ends: the description of the alert to send, and words for logs.
type Failure struct {
	Alert uint8
	Why   string
}

// Alerts (RFC 8446 6, RFC 5246 7.2).
const (
	closeNotify      = 0
	userCanceled     = 90
	noRenegotiation  = 100
	unexpected       = 10
	badMAC           = 20
	recordOverflow   = 22
	decodeError      = 50
	protocolVersion  = 70
	illegalParameter = 47

	levelWarning, levelFatal = 1, 2
)

// The failures. Closed is a clean end, and an Alerted peer gets no alert in return.
var (
	Closed  = &Failure{closeNotify, "the peer closed the TLS connection"}
	Alerted = &Failure{closeNotify, "the peer sent a TLS alert"}

	tooLong         = &Failure{recordOverflow, "a TLS record is too long"}
	badRecord       = &Failure{badMAC, "a TLS record is damaged"}
	unexpectedType  = &Failure{unexpected, "a TLS record of an unexpected type"}
	noContentType   = &Failure{unexpected, "a TLS record without a content type"}
	wrongVersion    = &Failure{protocolVersion, "a TLS record of another version"}
	badAlert        = &Failure{decodeError, "a TLS alert of a wrong length"}
	useless         = &Failure{unexpected, "too many TLS records in a row without data"}
	renegotiation   = &Failure{noRenegotiation, "TLS renegotiation is not supported"}
	unexpectedShake = &Failure{unexpected, "an unexpected TLS handshake message"}
	badKeyUpdate    = &Failure{illegalParameter, "a TLS KeyUpdate with a wrong value"}
	exhausted       = &Failure{unexpected, "the TLS sequence numbers are used up"}
)
