// Package server is one server: its epoll set, its listeners, and the turn that moves all of it.  per turn
package server

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/conn"
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// Config is what Open is told.
type Config struct {
	Conn  conn.Config
	Guest bool             // the epoll descriptor is watched by another loop
	Now   func() time.Time // the clock; nil: the system's. Tests have hours pass at once
	// Recover: a panic costs the connection for which the work was. Without it, as in tests, it stays a panic.
	Recover bool

	Worker Worker // Slot 0: it is alone
}

// Server is one server. Its methods may be called from any thread, one after the other: a lock is held but for the wait.
type Server struct {
	mu       sync.Mutex
	poll     *poll.Poll
	inbox    *handoff.Inbox
	host     conn.Host
	alarm    *alarm // of a guest
	clock    func() time.Time
	workers  *counters.Table
	draining bool
	emptied  bool // the listeners are left, and connections without a request are closed
	told     bool // that the last connection is gone
	closed   bool
	held     int       // by the host at the end of the last turn
	changed  bool      // since the last release
	changeAt time.Time // when it began to
	large    bool      // the release under way takes several steps

	outbox    []byte // of the turn: what is not carried out yet
	reports   reports
	ranTimers bool // in this turn
	recovers  bool // from a panic

	retirement retirement
	silence    silence
	code       []handoff.Range // memory of C, within a turn: to be dropped before the next wait
}

// reports are what the last wait brought, and how far they are taken up.
type reports struct {
	ready, taken int
	own          []poll.Tag // of listeners and of our own descriptors
	tended       int        // of them, taken up
	left         bool       // some found no room
}

// Open makes a server without listeners.
func Open(config Config) (s *Server, err error) {
	s = &Server{recovers: config.Recover, clock: config.Now}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.poll, err = poll.Open(); err != nil {
		return nil, err
	}
	config.Conn.MaxHead = config.Conn.MaxHead.OrDefaults()
	most := config.Conn.MaxHead
	if s.inbox, err = handoff.OpenInbox(most.HeadBytes, limits.View(most.LineBytes, most.Fields)); err != nil {
		s.poll.Close()
		return nil, err
	}
	s.host.Open(config.Conn, s.poll, s.inbox, s.clock())
	if config.Guest {
		s.alarm, err = openAlarm(s.poll)
	}
	if err == nil && config.Worker.Slot > 0 {
		err = s.join(config.Worker)
	}
	if err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// Listen begins to accept from sockets that somebody else opened and will close.
func (s *Server) Listen(listeners []conn.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	if s.host.Listeners != nil {
		return unix.EALREADY
	}
	s.host.Listeners = listeners
	if s.workers != nil {
		s.workers.Enter()
	}
	return s.host.ListenAll()
}

// FD is the epoll descriptor, for a guest driver.
func (s *Server) FD() int { return s.poll.FD() }

// Watch adds, changes or (events 0) removes a descriptor of the application.
func (s *Server) Watch(fd int, events uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	return s.poll.Set(fd, events, poll.NewTag(poll.Application, 0, uint32(fd)))
}

// Drain stops accepting. The next turns finish what is in progress; the last of them is told by TurnEmpty.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Abandon ends every connection at once. The inbox gives back what their output borrowed.
func (s *Server) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.inbox.Reset()
		s.protect(s.host.Abandon)
	}
}

// Close frees the server.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free()
}

func (s *Server) free() {
	if s.closed {
		return
	}
	s.closed = true
	s.host.Close()
	if s.alarm != nil {
		s.alarm.close()
	}
	if s.workers != nil {
		s.workers.Leave()
		s.workers.Close()
	}
	s.inbox.Close()
	s.poll.Close()
}

// Stats are the figures of a server.
type Stats struct {
	conn.Counts
	Connections, Streams, Sockets, Buffers, Queues, Unsent, Files uint64
}

// Stats reads them.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Stats{}
	}
	h := &s.host
	return Stats{h.Counts, uint64(h.Connections()), uint64(h.Streams()), uint64(h.Sockets()), uint64(h.Buffers()), uint64(h.Queues()), uint64(h.Unsent()), uint64(h.Files())}
}
