// A server as one of several workers.

package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/addresses"
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// Worker is a server's part among several workers; 0 is off.
type Worker struct {
	Counters, Slot int    // descriptor of the table, and our slot in it
	Addresses      int    // descriptor of the table of addresses; only where a limit needs it
	Number         int    // as the master counts its workers, from 1
	Requests       uint64 // number after which the worker asks to be replaced
	RSS            uint64 // bytes of resident memory, likewise
}

// retirement decides when a worker asks to be replaced.
type retirement struct {
	Worker
	asked bool
	seen  uint64    // number of requests at the last check of the memory
	at    time.Time // time of that check
}

// join makes the server one of several workers.
func (s *Server) join(w Worker) error {
	table, err := counters.Open(w.Counters, w.Slot)
	if err != nil {
		return err
	}
	s.workers, s.table, s.loop.Accept.Workers, s.retirement.Worker = table, table, table, w
	return s.poll.AddLevel(int(table.Own().Bell.Load()), poll.In, poll.NewTag(poll.Server, 0, poll.Bell))
}

// openAddresses opens the table for limits by address: that of all workers, or one of our own.
func (s *Server) openAddresses(w Worker) (err error) {
	config := &s.loop.Config
	if config.RateLimit > 0 {
		config.Rate = addresses.RateOf(config.RateLimit, max(config.RateBurst, 1))
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	s.loop.Opened = time.Duration(now.Nano()) - s.loop.Clock.Elapsed
	if w.Slot > 0 {
		s.loop.Known, err = addresses.Open(w.Addresses, w.Slot)
	} else {
		s.loop.Known, err = addresses.OpenPrivate()
	}
	return err
}

func (s *Server) accept(i uint32) {
	if s.workers == nil {
		s.loop.Accept.From(i)
		return
	}
	s.loop.Accept.Edge(i)
}

// handleOwn handles a report of one of the server's own descriptors.
func (s *Server) handleOwn(number uint32) {
	if number == poll.Alarm {
		s.alarm.acknowledge()
		return
	}
	if number == poll.Handshakes {
		s.loop.ContinueHandshakes()
		return
	}
	s.workers.ResetBell()
	if !s.draining {
		s.loop.Accept.All()
	}
}

// publish stores the figures for the other workers and the master.
func (s *Server) publish(now time.Time) {
	s.store()
	if s.workers != nil && !s.draining && !s.retirement.asked {
		s.considerRetirement(now)
	}
}

func (s *Server) store() {
	own, l := s.table.Own(), &s.loop
	own.Connections.Store(uint64(l.Connections()))
	own.Streams.Store(uint64(s.streams.Live()))
	own.Requests.Store(l.Counts.Requests)
	own.Accepted.Store(l.Counts.Accepted)
	own.Refused.Store(l.Counts.Refused)
	if s.access != nil {
		s.storeLost()
	}
	if l.Figures != nil {
		s.publishFigures()
	}
}

func (s *Server) considerRetirement(now time.Time) {
	r, requests := &s.retirement, s.loop.Counts.Requests
	if r.Requests > 0 && requests >= r.Requests {
		r.asked = s.journal.Retire(fmt.Sprintf("%d requests", requests))
		return
	}
	if r.RSS == 0 || requests == r.seen || now.Sub(r.at) < limits.RSSInterval {
		return
	}
	r.seen, r.at = requests, now
	if rss := resident(); rss >= r.RSS {
		r.asked = s.journal.Retire(fmt.Sprintf("%d MiB of resident memory", rss>>20))
	}
}

// resident is the resident memory of this process in bytes (proc(5): statm); 0 if it is unknown.
func resident() uint64 {
	fd, err := unix.Open("/proc/self/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var text [128]byte
	n, _ := unix.Read(fd, text[:])
	fields := strings.Fields(string(text[:max(n, 0)]))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
