//go:build full

// The keys of session tickets. All workers of a server have the same secret, and each derives the same keys from it and the time, so that
// a worker accepts the tickets of the others without being told.

package tlsshake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"saltare/gocore/internal/limits"
)

// periodOf is the number of the period in which one key seals the tickets.
func periodOf(now time.Time) int64 { return now.Unix() / int64(limits.TicketPeriod/time.Second) }

// ticketKeys are the key that seals tickets in the period, and those that open tickets of another worker whose clock is read a moment
// later, and of the period before.
func ticketKeys(secret []byte, period int64) [][32]byte {
	return [][32]byte{ticketKey(secret, period), ticketKey(secret, period+1), ticketKey(secret, period-1)}
}

func ticketKey(secret []byte, period int64) (key [32]byte) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("saltare ticket key"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(period)))
	mac.Sum(key[:0])
	return key
}
