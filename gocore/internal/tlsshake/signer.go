//go:build full

// Signatures with RSA take about 1 ms, ten times as long as with ECDSA. They run in one thread of low priority, so that handshakes do not
// delay requests.

package tlsshake

import (
	"crypto"
	"crypto/rsa"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

const lowest = 19 // nice(1)

// signer is the thread, which starts with the first signature. The zero value is ready.
type signer struct {
	start  sync.Once
	mu     sync.RWMutex
	work   chan func()
	closed bool
}

// of is the key, whose signatures run in the thread if it is an RSA key.
func (s *signer) of(key crypto.PrivateKey) crypto.PrivateKey {
	if one, ok := key.(*rsa.PrivateKey); ok {
		return &slowKey{one, s}
	}
	return key
}

// do runs a signature in the thread, or here once the thread has ended.
func (s *signer) do(f func()) {
	s.start.Do(func() {
		s.work = make(chan func())
		go s.run()
	})
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		f()
		return
	}
	done := make(chan struct{})
	s.work <- func() { f(); close(done) }
	<-done
}

// run keeps its thread: the priority belongs to it, and Go ends a locked thread with its goroutine.
func (s *signer) run() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest)
	for f := range s.work {
		f()
	}
}

func (s *signer) close() {
	s.start.Do(func() { s.work = make(chan func()) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.work)
	}
}

// slowKey signs in the thread.
type slowKey struct {
	*rsa.PrivateKey
	in *signer
}

func (k *slowKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	k.in.do(func() { signature, err = k.PrivateKey.Sign(random, digest, opts) })
	return signature, err
}
