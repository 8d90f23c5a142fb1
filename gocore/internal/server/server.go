// Package server is one server: its epoll set, its listeners, and the turn that moves all of it.
package server

import (
	"cmp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/h1"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/ws"
)

// Config is what a server is opened with.
type Config struct {
	Conn  config.Config
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
	journal  journal.Journal
	loop     transport.Loop
	streams  exchange.Streams
	h1       h1.Driver
	ws       ws.Driver
	alarm    *alarm // of a guest
	clock    func() time.Time
	workers  *counters.Table
	draining bool
	emptied  bool // the listeners are left, and connections without a request are closed
	reported bool // that the last connection is gone
	closed   bool
	held     int       // at the end of the last turn
	changed  bool      // since the last release
	changeAt time.Time // when it began to
	large    bool      // the release under way takes several steps

	outbox    []byte // of the turn: what is not carried out yet
	reports   reports
	ranTimers bool // in this turn
	recovers  bool // from a panic

	retirement retirement
	quiet      quiet
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
func Open(c Config) (s *Server, err error) {
	s = &Server{recovers: c.Recover, clock: c.Now}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.poll, err = poll.Open(); err != nil {
		return nil, err
	}
	c.Conn.WSMaxBytes = cmp.Or(c.Conn.WSMaxBytes, limits.DefaultMessageBytes)
	c.Conn.MaxHead = c.Conn.MaxHead.OrDefaults()
	most := c.Conn.MaxHead
	if s.inbox, err = handoff.OpenInbox(most.HeadBytes, limits.View(most.LineBytes, most.Fields)); err != nil {
		s.poll.Close()
		return nil, err
	}
	s.connect(c.Conn)
	if c.Guest {
		s.alarm, err = openAlarm(s.poll)
	}
	if err == nil && c.Worker.Slot > 0 {
		err = s.join(c.Worker)
	}
	if err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// connect makes the parts of a server known to each other: the loop and its protocols, of which HTTP/1.1 is the one that connections
// begin with.
func (s *Server) connect(c config.Config) {
	now := s.clock()
	s.journal.Open(s.inbox, c.Debug)
	s.loop.Open(c, s.poll, s.inbox, &s.journal, now)
	s.streams.Open(&s.loop)
	s.h1.Open(&s.loop, &s.streams, &s.ws)
	s.ws.Open(&s.loop, &s.streams)
	s.h1.Date(now)
}

// Listen begins to accept from sockets that somebody else opened and will close.
func (s *Server) Listen(listeners []transport.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	if s.loop.Accept.Listeners != nil {
		return unix.EALREADY
	}
	s.loop.Accept.Listeners = listeners
	if s.workers != nil {
		s.workers.Enter()
	}
	return s.loop.Accept.Listen()
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

// Drain stops accepting. The next turns finish what is in progress; the last of them returns TurnEmpty.
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
		s.protect(s.loop.Abandon)
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
	s.loop.Close()
	s.streams.Close()
	s.h1.Close()
	s.ws.Close()
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
	transport.Counts
	Connections, Streams, Sockets, Buffers, Queues, Unsent, Files uint64
}

// Stats reads them.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Stats{}
	}
	l := &s.loop
	return Stats{l.Counts, uint64(l.Connections()), uint64(s.streams.Live()), uint64(s.ws.Live()), uint64(l.Buffers()),
		uint64(l.Output.Queues()), uint64(l.Output.AllUnsent()), uint64(l.Output.Files())}
}
