//go:build full

// One handshake.

package tlsshake

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"saltare/gocore/internal/tlsrecord"
)

// Shake is a handshake in progress. The loop calls Feed and Step, the goroutine of the handshake the methods of net.Conn.
//
// crypto/tls gets one record at a time, and only while it waits for one. So it never reads past the client's last message, and what
// follows is still to be opened with the session.
type Shake struct {
	mu     sync.Mutex
	more   sync.Cond
	in     []byte // of one record, not read yet
	out    []byte // not taken by the loop yet
	waits  bool   // for a record
	ended  bool   // there will be no more records
	done   bool
	result Result

	// Of the goroutine.
	sent  []byte // all of the output
	ours  int    // number of our certificate
	hello []byte // the beginning of the client's first message, up to helloBytes
	of    *Config
	wake  func(s *Shake)
	log   tlsrecord.Secrets
}

// helloBytes end with the random of a ClientHello, behind type, length and version.
const (
	randomAt   = 4 + 2
	helloBytes = randomAt + 32
)

// Result is how a handshake has ended. With a failure the session is unusable.
type Result struct {
	Failure  string // for logs; "": none
	Session  tlsrecord.Session
	Identity *Identity
}

// Start begins a handshake. wake is called from another goroutine whenever Step has news.
func Start(of *Config, wake func(s *Shake)) *Shake {
	s := &Shake{of: of, wake: wake}
	s.more.L = &s.mu
	go s.run()
	return s
}

func (s *Shake) run() {
	result := s.shake()
	s.mu.Lock()
	s.result, s.done, s.sent = result, true, nil
	s.mu.Unlock()
	s.of.ReleaseSoon()
	s.wake(s)
}

func (s *Shake) shake() (r Result) {
	defer func() {
		if problem := recover(); problem != nil {
			r = Result{Failure: "internal error in the TLS handshake"}
		}
	}()
	config, identities := s.config()
	conn := tls.Server(s, config)
	if err := conn.Handshake(); err != nil {
		return Result{Failure: reason(err)}
	}
	state := conn.ConnectionState()
	session, ok := s.log.Session(state.Version, state.CipherSuite, s.sent)
	if !ok {
		return Result{Failure: "the TLS handshake gave no secrets"}
	}
	return Result{Session: session, Identity: identities[s.ours].with(state.PeerCertificates)}
}

// config is the server's, with the key log of this handshake.
func (s *Shake) config() (*tls.Config, []*Identity) {
	of := s.of.current()
	own := of.Clone()
	own.KeyLogWriter = &s.log
	own.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		s.keepMaster(session)
		return own.EncryptTicket(state, session)
	}
	own.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.ours = chosen(own.Certificates, hello)
		return nil, nil
	}
	return own, of.identities
}

// keepMaster takes the secret of a resumed session of TLS 1.2, which crypto/tls does not log, from the ticket that it writes for every
// such session. SessionState.Bytes begins with version (2), kind (1), suite (2), time (8) and the secret after its length (1).
func (s *Shake) keepMaster(session *tls.SessionState) {
	const at = 2 + 1 + 2 + 8
	b, err := session.Bytes()
	if err != nil || len(b) <= at || binary.BigEndian.Uint16(b) != tlsrecord.TLS12 || len(b) < at+1+int(b[at]) || len(s.hello) < helloBytes {
		return
	}
	s.log.SetMaster(b[at+1:at+1+int(b[at])], s.hello[randomAt:])
}

// Feed passes one whole record. The handshake must wait for one.
func (s *Shake) Feed(record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if missing := helloBytes - len(s.hello); missing > 0 { // a message may be in several records
		body := record[tlsrecord.HeaderBytes:]
		s.hello = append(s.hello, body[:min(missing, len(body))]...)
	}
	s.in = append(s.in[:0], record...)
	s.waits = false
	s.more.Signal()
}

// Step takes the output, appended to out, and tells whether the handshake waits for a record, or is done.
func (s *Shake) Step(out []byte) (_ []byte, waits, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out = append(out, s.out...)
	s.out = s.out[:0]
	return out, s.waits, s.done
}

// Result is the result of a handshake that is done.
func (s *Shake) Result() *Result { return &s.result }

// Cancel ends the handshake: its connection has closed.
func (s *Shake) Cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Signal()
}

var errEnded = errors.New("the connection has closed")

func (s *Shake) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.in) == 0 && !s.ended {
		if s.waits {
			s.more.Wait()
			continue
		}
		s.waits = true
		s.mu.Unlock()
		s.wake(s)
		s.mu.Lock()
	}
	if s.ended {
		return 0, errEnded
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *Shake) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, errEnded
	}
	s.out = append(s.out, p...)
	s.sent = append(s.sent, p...)
	return len(p), nil
}

func (s *Shake) Close() error                     { return nil }
func (s *Shake) LocalAddr() net.Addr              { return nil }
func (s *Shake) RemoteAddr() net.Addr             { return nil }
func (s *Shake) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (s *Shake) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *Shake) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
