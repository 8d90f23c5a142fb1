// The access log of a server: when its lines are written, and what is said of those that are lost.

package server

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/accesslog"
	"saltare/gocore/internal/limits"
)

// losses is what was said of lost lines.
type losses struct {
	said uint64
	at   time.Time
}

func (s *Server) openLog(c accesslog.Config) (err error) {
	s.access, err = accesslog.New(c, &s.loop.Clock)
	s.streams.Log = s.access
	if err == accesslog.ErrFormat {
		return unix.EINVAL
	}
	return err
}

// ReopenLog opens the file of the access log again. If that fails, the old one stays.
func (s *Server) ReopenLog() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.ESTALE
	}
	if s.access == nil {
		return nil
	}
	return s.access.Reopen()
}

// Threads is how many threads of the server run Go at the same time.
func (s *Server) Threads() int {
	if s.access != nil {
		return 2
	}
	return 1
}

// storeLost stores the number of lost lines for the other workers, the master and the metrics.
func (s *Server) storeLost() {
	if s.table == nil {
		return
	}
	lost, _ := s.access.Lost()
	s.table.Own().LinesLost.Store(lost)
	if f := s.loop.Figures; f != nil {
		f.LinesLost = s.base.LinesLost + lost
	}
}

// logLosses logs how many lines the access log has lost, once in limits.LimitLogInterval.
func (s *Server) logLosses(now time.Time) {
	lost, errno := s.access.Lost()
	if lost == s.losses.said || !s.losses.at.IsZero() && now.Sub(s.losses.at) < limits.LimitLogInterval {
		return
	}
	why := "what reads it is too slow, or reads nothing"
	if errno != 0 {
		why = unix.Errno(errno).Error()
	}
	line := fmt.Sprintf("the access log has lost lines: %d (%s); further ones within a minute are not logged", lost-s.losses.said, why)
	if s.journal.Warning(line) {
		s.losses = losses{lost, now}
	}
}
