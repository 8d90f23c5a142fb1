//go:build full

// TLS: the sessions of connections, and the memory that they share.

package transport

import (
	"container/list"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/tlsrecord"
	"saltare/gocore/internal/tlsshake"
)

// secured is what a connection keeps for TLS. It lies outside Go's heap and holds no Go pointer.
type secured struct {
	tlsrecord.Session
	kept    pool.Buffer // input: plain bytes at offset at, then the beginning of records
	at      uint32
	plain   uint32
	sealed  uint32
	pending uint32 // number + 1 of its sealed output that the socket has not accepted; 0: none
	who     uint32 // number of its identity
	closed  bool   // the peer has sent close_notify
}

// Compile-time check of the record's size.
const _ = uint(limits.SessionBytes - unsafe.Sizeof(secured{}))

// pending is sealed output that the socket has not accepted. It stands for the first bytes of the connection's queue.
type pending struct {
	buffer pool.Buffer
	off, n int // bytes sent, bytes in all
	plain  int // plain bytes in the queue for which it stands
}

var (
	keysFresh  = limits.Ticks(limits.KeysFresh)
	stallTicks = limits.Ticks(limits.HandshakeStall)
	retryTicks = limits.Ticks(limits.HandshakeRetry)
)

// layer is the TLS of one loop.
type layer struct {
	loop     *Loop
	config   *tlsshake.Config
	sessions pool.Slab[secured]
	pendings pool.Slab[pending]
	keys     tlsrecord.Cache
	who      identities

	// Memory of a turn, mapped at the first use.
	opened []byte // room to open records in, where the caller has too little
	plain  []byte // plain bytes of the next record
	sealed []byte // records of one step of output

	handshakes handshakes
}

// handshakes are those in progress.
type handshakes struct {
	running map[uint32]*handshake // by the number of the connection
	waiting list.List             // those that wait for their peer, *handshake, longest first
	queue   list.List             // connections with a first message that have no room, *candidate, longest first
	queued  map[uint32]*list.Element
	newest  bool         // the room that is free next is for the last of the queue
	out     []byte       // output of one handshake
	taken   []*handshake // news that this turn handles
	logAt   uint32       // tick + 1 of the last line about a failure
	unseen  int          // failures since then

	bell  int // an eventfd, written by goroutines
	mu    sync.Mutex
	heard []*handshake // with news
	lines []string     // for the log
	rung  bool
	ended bool // the bell is closed
}

func newSecurity(l *Loop, now func() time.Time) (security, error) {
	t := &layer{loop: l}
	t.sessions.Secret = true
	t.who.known = map[[32]byte]uint32{}
	t.handshakes.running, t.handshakes.queued = map[uint32]*handshake{}, map[uint32]*list.Element{}
	of := l.Config.TLS
	settings := tlsshake.Settings{Certificates: of.Certificates, Keys: of.Keys, Password: of.Password, Authorities: of.Authorities, Required: of.Required,
		Suites: of.Suites, MinVersion: of.MinVersion, Tickets: of.Tickets, Protocols: []string{"http/1.1"}}
	var err error
	if t.config, err = tlsshake.Open(settings, t.handshakes.log, now); err != nil {
		return nil, err
	}
	if t.handshakes.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, err
	}
	if err = l.poll.AddLevel(t.handshakes.bell, poll.In, poll.NewTag(poll.Server, 0, poll.Handshakes)); err != nil {
		sock.Close(t.handshakes.bell)
		return nil, err
	}
	return t, nil
}

func (t *layer) of(c *Conn) *secured { return t.sessions.At(c.tls - 1) }

func (t *layer) keysOf(s *secured) *tlsrecord.Keys {
	return t.keys.Of(&s.Session, t.loop.Clock.Now, keysFresh, limits.MostKeys)
}

// mappedRoom returns mapped memory, or memory of Go's heap if that fails.
func mappedRoom(b *[]byte, n int) []byte {
	if *b == nil {
		var err error
		if *b, err = pool.Map(n); err != nil {
			return make([]byte, n)
		}
	}
	return *b
}

func (t *layer) memory() [3]*[]byte { return [...]*[]byte{&t.opened, &t.plain, &t.sealed} }

// gone overwrites the secrets of a session.
func (t *layer) gone(c *Conn) {
	t.dropHandshake(c)
	if c.tls == 0 {
		return
	}
	s := t.of(c)
	if t.endsWell(c, s) {
		t.closeNotify(c)
		t.config.ReleaseSoon() // keys may have been made for it
	}
	t.keys.Forget(&s.Session)
	t.keep(c, s, nil, nil)
	t.dropPending(s)
	t.who.drop(s.who)
	*s = secured{}
	t.sessions.Free(c.tls - 1)
	c.tls = 0
}

// endsWell tells whether all output has left and the peer may care. Without close_notify it takes the end for a cut (RFC 8446 6.1).
func (t *layer) endsWell(c *Conn, s *secured) bool {
	if c.gone || c.reset || !t.loop.Output.Sent(c) {
		return false
	}
	switch c.ending {
	case Responded:
		return c.phase != Linger // it was sent before
	case PeerClosed:
		return s.closed
	}
	return c.ending == Stays && c.phase == Idle
}

// rest drops the keys. Their memory is given back like that of handshakes.
func (t *layer) rest() {
	if t.keys.Len() > 0 {
		t.keys.Clear()
		t.config.ReleaseSoon()
	}
}

func (t *layer) release() int { return t.sessions.Release() + t.pendings.Release() }

func (t *layer) shrink() {
	t.keys.Clear()
	for _, b := range t.memory() {
		if *b != nil {
			pool.Discard(*b)
		}
	}
	h := &t.handshakes
	h.out, h.taken = nil, slices.Clip(h.taken)
}

func (t *layer) close() {
	h := &t.handshakes
	h.mu.Lock()
	h.ended = true
	sock.Close(h.bell)
	h.mu.Unlock()
	t.config.Close()
	t.keys.Clear()
	t.sessions.Close()
	t.pendings.Close()
	for _, b := range t.memory() {
		if *b != nil {
			pool.Unmap(*b)
		}
	}
}
