//go:build full

// The keys of session tickets. All workers of a server have the same secret, and each derives the same keys from it and the time, so that
// a worker accepts the tickets of the others without being told.

package tlsshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

const secretBytes = 32

var opening sync.Mutex // the file has a lock for processes, and this is the one for threads

// openSecret reads the secret from a file in memory that all workers and their successors have. The first one that comes fills it. The
// secret lies outside Go's heap, and is not in core dumps. The error is that of a system call.
func openSecret(fd int) ([]byte, error) {
	secret, err := pool.MapSecret(secretBytes)
	if err != nil {
		return nil, err
	}
	opening.Lock()
	defer opening.Unlock()
	// The lock is that of a process, unlike flock(2), whose lock the workers would share.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err = unix.FcntlFlock(uintptr(fd), unix.F_SETLKW, &lock); err == nil {
		err = fill(fd, secret)
		lock.Type = unix.F_UNLCK
		_ = unix.FcntlFlock(uintptr(fd), unix.F_SETLKW, &lock)
	}
	if err != nil {
		pool.Unmap(secret)
		return nil, err
	}
	return secret, nil
}

// fill reads the secret, or makes and writes it.
func fill(fd int, secret []byte) error {
	if n, err := unix.Pread(fd, secret, 0); err != nil || n == secretBytes {
		return err
	}
	_, _ = rand.Read(secret) // it never fails
	_, err := unix.Pwrite(fd, secret, 0)
	return err
}

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
