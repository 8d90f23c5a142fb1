// Package server is one server: its epoll set, its listeners, and the turn that drives them.
package server

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/accesslog"
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/h1"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/metrics"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/pp"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/ws"
)

// Config configures a server.
type Config struct {
	Conn  config.Config
	Admin int              // how many listeners, the last ones, are for operators
	Guest bool             // another loop watches the epoll descriptor
	Now   func() time.Time // the clock; nil: the system's. Tests use it to skip hours
	// Recover: a panic ends only the connection being worked on. Without it, as in tests, the panic is not recovered.
	Recover bool

	Worker Worker // Slot 0: the only worker
	Log    accesslog.Config
}

// Server is one server. Any thread may call its methods: a lock serializes them, except during the wait.
type Server struct {
	mu       sync.Mutex
	poll     *poll.Poll
	inbox    *handoff.Inbox
	journal  journal.Journal
	access   *accesslog.Log // nil: off
	loop     transport.Loop
	streams  exchange.Streams
	h1       h1.Driver
	ws       ws.Driver
	pp       pp.Driver
	admin    int            // how many listeners, the last ones, are for operators
	first    transport.Kind // the protocol with which connections begin
	alarm    *alarm         // only for a guest
	clock    func() time.Time
	workers  *counters.Table
	unready  atomic.Uint32    // 1: the server is about to stop, and health answers say so
	table    *counters.Table  // of the metrics: that of the workers, or one of our own; nil: neither
	page     *metrics.Page    // nil: metrics are off
	base     counters.Figures // of our slot before this server
	left     time.Time        // end of the last turn; zero: not known
	draining bool
	emptied  bool // listeners are removed, and connections without a request are closing
	reported bool // TurnEmpty was returned
	closed   bool
	flags    uint32    // handoff.Turn*, which C has not taken yet
	held     int       // holds() at the end of the last turn
	changed  bool      // held has changed since the last release
	changeAt time.Time // when it first changed
	large    bool      // the release under way takes several steps

	tasks     int    // of the app, that have not ended
	outbox    []byte // commands of this turn that are not carried out yet
	reports   reports
	ranTimers bool // Timers.Run had work in this turn
	recovers  bool // from a panic

	losses     losses
	retirement retirement
	quiet      quiet
	code       []handoff.Range // of mapped files; dropped right before the next wait of this turn
}

// reports are the results of the last wait, and how many of them are handled.
type reports struct {
	ready, taken int
	own          []poll.Tag // of listeners and the server's own descriptors
	handled      int        // how many of own are handled
	left         bool       // some found no room in the inbox
}

// Open makes a server without listeners.
func Open(c Config) (s *Server, err error) {
	s = &Server{recovers: c.Recover, clock: c.Now, admin: c.Admin}
	c.Conn.Answers.Admin = c.Admin > 0
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
	if c.Log.On {
		err = s.openLog(c.Log)
	}
	if err == nil && c.Conn.TLS != nil {
		err = s.loop.OpenTLS(s.clock)
	}
	if err == nil && c.Guest {
		s.alarm, err = openAlarm(s.poll)
	}
	if err == nil && c.Worker.Slot > 0 {
		err = s.join(c.Worker)
	}
	if err == nil && c.Conn.CountsAddresses() {
		err = s.openAddresses(c.Worker)
	}
	if err == nil {
		err = s.h1.Prepare()
	}
	if err == nil && c.Conn.Answers.Counts() {
		err = s.count(c)
	}
	if err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// connect connects the parts of a server: the loop and its protocols.
func (s *Server) connect(c config.Config) {
	now := s.clock()
	c.Proxies.TLS = c.TLS != nil
	s.journal.Open(s.inbox, c.Debug)
	s.loop.Open(c, s.poll, s.inbox, &s.journal, now)
	s.streams.Open(&s.loop)
	s.first = s.h1.Open(&s.loop, &s.streams, &s.ws)
	s.ws.Open(&s.loop, &s.streams)
	if c.ProxyProtocol != 0 {
		s.first = s.pp.Open(&s.loop, s.first)
	}
	s.h1.Begin(now)
	s.h1.State = s
}

// Listen starts accepting from listening sockets that the caller opens and closes. unix.EALREADY: it was called before.
func (s *Server) Listen(listeners []transport.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	if s.loop.Accept.Listeners != nil {
		return unix.EALREADY
	}
	if s.access != nil {
		if err := s.access.Open(); err != nil {
			return err
		}
	}
	for i := range listeners {
		listeners[i].Admin = i >= len(listeners)-s.admin
		if !listeners[i].Admin {
			listeners[i].Protocol = cmp.Or(listeners[i].Protocol, s.first)
		}
	}
	s.loop.Accept.Listeners = listeners
	if s.workers != nil {
		s.workers.Enter()
	}
	return s.loop.Accept.Listen()
}

// FD is the epoll descriptor, for the loop that watches a guest.
func (s *Server) FD() int { return s.poll.FD() }

// Watch adds, changes or (with events 0) removes a descriptor of the app.
func (s *Server) Watch(fd int, events uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	return s.poll.Set(fd, events, poll.NewTag(poll.Application, 0, uint32(fd)))
}

// HasTLS tells whether the server runs handshakes, which need a thread besides the loop's.
func (s *Server) HasTLS() bool { return s.loop.HasTLS() }

// Unready makes health answers say that the server is about to stop, which it does with Drain.
func (s *Server) Unready() { s.unready.Store(1) }

// Drain stops accepting. The next turns finish the requests in progress; the last of them returns TurnEmpty.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Abandon closes every connection at once. The inbox has the release events of what their output borrowed.
func (s *Server) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.inbox.Reset()
		s.protect(s.loop.Abandon)
	}
}

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
	if s.access != nil {
		s.access.Close()
		s.storeLost()
	}
	s.loop.Close()
	s.streams.Close()
	s.h1.Close()
	s.ws.Close()
	if s.alarm != nil {
		s.alarm.close()
	}
	if s.workers != nil {
		s.workers.Leave()
	}
	if s.table != nil {
		s.table.Close()
	}
	if s.loop.Known != nil {
		s.loop.Known.Close()
	}
	s.inbox.Close()
	s.poll.Close()
}

// Refusals is how often the server has refused something for that cause.
func (s *Server) Refusals(why journal.Limit) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loop.Counts.Refusals[why]
}

// Phases counts the open connections by their phase; zeros once the server is closed.
func (s *Server) Phases() (counts [transport.Phases]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		counts = s.loop.Phases()
	}
	return counts
}

// Stats are figures of a server.
type Stats struct {
	transport.Counts
	Connections, Streams, WebSockets, Buffers, Queues, Unsent, Files uint64
}

// Stats returns zeros once the server is closed.
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
