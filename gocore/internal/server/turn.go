// One turn of the loop.

package server

import (
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// Turn carries the outbox out, waits at most timeout (negative: for ever) and fills the inbox. Events the app need not see (a new
// connection, a piece of a head, a deadline) do not end the wait, so Python is not woken for them.
// The limits of a turn apply to each wait.
//
// code is ranges of mapped files; their pages are dropped from memory right before the first wait.
//
// Inbox and Flags have the results. While flags are not taken, turns do not wait.
//
// The lock is not held during the wait, so that other threads can call Stats, Watch and Drain.
func (s *Server) Turn(outbox []byte, timeout time.Duration, code []handoff.Range) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	s.code = code
	defer func() { s.code = nil }()
	now := s.clock()
	end := now.Add(timeout)
	s.inbox.Reset()
	s.setClock(now)
	if s.page != nil {
		s.measureTurn(now)
	}
	s.journal.LogOverdue()
	if s.access != nil {
		s.logLosses(now)
	}
	s.outbox = outbox
	s.streams.BeginTurn(s.tasks)
	s.protect(s.carryOut)
	if len(outbox) > 0 {
		s.quiet.afterCommands(now)
	}
	s.protect(s.loop.Resume)
	if s.draining && !s.emptied {
		s.protect(s.stopAccepting)
		s.emptied = true
	}
	s.protect(s.loop.WorkOff)
	if !s.inbox.Empty() || s.loop.Waiting() || s.drained() || s.flags != 0 {
		timeout = 0
	}
	for {
		now, err = s.waitOnce(now, timeout)
		if err != nil || s.flags != 0 || !s.inbox.Empty() || timeout == 0 || s.draining && !s.emptied {
			return err
		}
		if timeout > 0 {
			if timeout = end.Sub(now); timeout <= 0 {
				return nil
			}
		}
		s.inbox.Rewind()
	}
}

// waitOnce waits, handles the results, and returns the time after the wait.
func (s *Server) waitOnce(before time.Time, timeout time.Duration) (now time.Time, err error) {
	ready, err := s.wait(before, timeout)
	interrupted := err == unix.EINTR
	if err != nil && !interrupted {
		return before, err
	}
	now = s.clock()
	s.setClock(now)
	if s.page != nil {
		s.left, s.page.Fresh = now, false
	}
	if s.workers != nil {
		s.workers.Turns(now.UnixMilli())
	}
	s.reports = reports{ready: ready, own: s.reports.own[:0]}
	s.protect(s.handleReports)
	more := s.reports.left || ready == limits.PollEvents
	s.protect(s.runTimers)
	if s.ranTimers {
		s.quiet.afterWork(now)
	}
	s.protect(s.loop.WorkOff)
	s.release(now)
	if s.table != nil {
		s.publish(now)
	}
	if s.alarm != nil {
		s.setAlarm(now)
	}
	if more || s.loop.Waiting() || s.inbox.Late() {
		s.flags |= handoff.TurnMore
	}
	if interrupted {
		s.flags |= handoff.TurnInterrupted
	}
	if reached := s.quiet.reached(now); reached != 0 {
		s.loop.Timers.PutOff()
		s.loop.Rest()
		s.flags |= reached
	}
	if s.drained() {
		s.reported = true
		s.flags |= handoff.TurnEmpty
	}
	return now, nil
}

// Tasks sets how many tasks of the app have not ended. It is for the thread that takes the turns, before a turn.
func (s *Server) Tasks(n int) { s.tasks = n }

func (s *Server) setClock(now time.Time) {
	s.loop.Clock.Set(now)
	s.h1.Begin(now)
}

// Inbox is the address and the number of the last turn's events.
func (s *Server) Inbox() (ptr uintptr, n int) { return s.inbox.Events() }

// Flags takes what turns have reported since the last call: handoff.Turn*. Several turns may pass before C takes their results.
// Like Inbox, it is for the thread that takes the turns.
func (s *Server) Flags() (flags uint32) {
	flags, s.flags = s.flags, 0
	return flags
}

func (s *Server) carryOut() {
	for {
		command, payload, rest, ok := handoff.Next(s.outbox)
		s.outbox = rest
		if !ok {
			return
		}
		s.streams.Command(command, payload)
	}
}

// drained tells whether the last connection of a draining server is gone, which is reported only once: the app may have other
// events to wait for.
func (s *Server) drained() bool { return s.emptied && !s.reported && s.loop.Connections() == 0 }

// stopAccepting accepts what is in the backlog, unless another worker will: those peers consider themselves connected.
func (s *Server) stopAccepting() {
	handed := s.loop.Accept.HandOver()
	for i, l := range s.loop.Accept.Listeners {
		for n := 0; !handed && n < limits.MostBacklog && !s.loop.Accept.From(uint32(i)); n += limits.AcceptBatch {
		}
		_ = s.poll.Remove(l.FD)
	}
	s.loop.Drain()
}

// wait waits for epoll, until the next deadline at most.
func (s *Server) wait(now time.Time, timeout time.Duration) (ready int, err error) {
	if d, ok := s.untilDeadline(now); ok && (timeout < 0 || d < timeout) {
		timeout = d
	}
	ms := milliseconds(timeout)
	if ms == 0 {
		return s.poll.Wait(0)
	}
	if s.page != nil {
		s.store() // others read it during the wait
	}
	if s.workers != nil {
		s.workers.Waits()
	}
	code := s.code
	s.code = nil
	s.mu.Unlock()
	defer s.mu.Lock()
	drop(code)
	fd, events, most := s.poll.Call()
	n, _, errno := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(events), most, uintptr(ms), 0, 0)
	return s.poll.Came(n, errno)
}

func (s *Server) untilDeadline(now time.Time) (time.Duration, bool) {
	d, ok := s.loop.Timers.NextDeadline(now)
	if at, release := s.releaseAt(); release {
		d, ok = sooner(d, ok, at.Sub(now))
	}
	if at, armed := s.quiet.due(); armed {
		d, ok = sooner(d, ok, at.Sub(now))
	}
	if s.access != nil {
		if within, lines := s.access.BeforeWait(); lines {
			d, ok = sooner(d, ok, within)
		}
	}
	return d, ok
}

// sooner is the time left until the earlier of two deadlines; ok tells whether there is a first one.
func sooner(d time.Duration, ok bool, other time.Duration) (time.Duration, bool) {
	other = max(other, 0)
	if ok && d <= other {
		return d, true
	}
	return other, true
}

// milliseconds rounds up, so that no wait ends before its deadline.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

// handleReports handles all reports. Those of connections come before those of listeners, which may need the room of a connection that
// has closed.
func (s *Server) handleReports() {
	of := &s.reports
	for of.taken < of.ready {
		r := s.poll.Ready(of.taken)
		of.taken++
		switch r.Tag.Owner() {
		case poll.Connection:
			s.loop.Report(r.Tag, r.Bits)
		case poll.Application:
			if !s.inbox.HasRoom() { // level-triggered: epoll reports it again
				of.left = true
				continue
			}
			s.inbox.Add(handoff.Event{Kind: handoff.EventFD, Flags: r.Bits, Stream: uint64(r.Tag.Number())})
		default:
			of.own = append(of.own, r.Tag)
		}
	}
	for of.handled < len(of.own) {
		tag := of.own[of.handled]
		of.handled++
		s.loop.WorkFor(nil)
		if tag.Owner() == poll.Listener {
			s.accept(tag.Number())
		} else {
			s.handleOwn(tag.Number())
		}
	}
}

// runTimers ends expired connections. If epoll had more reports than fit one wait, it handles those first.
func (s *Server) runTimers() {
	if s.reports.ready == limits.PollEvents && s.loop.Timers.Due() {
		s.loop.CatchUp()
	}
	s.ranTimers = s.loop.Timers.Run()
}
