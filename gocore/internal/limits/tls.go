// TLS: limits of handshakes, of memory and of time.

package limits

import "time"

// Handshakes.
const (
	// MostHandshakes hold a goroutine at a time; others wait with a complete first message. Price: about 25 KiB each, until it is done.
	MostHandshakes = 256
	// HandshakeStall: a handshake that has waited this long for its peer is closed when another one has no room. Price: while that is so,
	// clients farther away than this are refused.
	HandshakeStall = 500 * time.Millisecond
	// HandshakeRetry is how often those without room ask for it.
	HandshakeRetry = HandshakeStall / 4
	// HandshakeRelease: what handshakes leave in Go's heap is released this long after the last one. Price: about 1 ms of CPU.
	HandshakeRelease = time.Second
	// CertificateInterval is the shortest time between two looks at the files of certificates. Only handshakes look. Price: a stat(2) for
	// each file.
	CertificateInterval = time.Second
	// TicketPeriod: a session ticket is accepted for one to two periods. Price: a client that comes back later makes a full handshake.
	TicketPeriod = 12 * time.Hour
	// HandshakeLogInterval: failures of handshakes are logged once in this time, with their number.
	HandshakeLogInterval = time.Minute
)

// Records.
const (
	// SealBytes is how much output is sealed at a time: sealed later, a large response costs no more memory than this. Price: less per
	// system call than without TLS.
	SealBytes = 64 << 10
	// OpenBytes is the room for records whose plaintext does not fit where it goes: the longest record, and the beginning of another.
	OpenBytes = 20 << 10
	// SessionBytes is the largest size of the record of a TLS connection, besides that of the connection. A compile-time check enforces it.
	SessionBytes = 184
	// MostKeys is how many connections keep their keys while they are active, 1.6 KiB each. Others make them anew, 3 us each time.
	MostKeys = 1024
	// KeysFresh: a connection is active for so long.
	KeysFresh = time.Second
)
