// The metrics of a server: what only the turn knows, and answers about all workers.

package server

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/metrics"
)

// parseBuckets reads upper bounds in seconds, one a line; nil: they are none that a histogram may have.
func parseBuckets(text string) (bounds []int64) {
	for line := range strings.Lines(text) {
		seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return nil
		}
		bounds = append(bounds, int64(seconds*1e9))
	}
	if len(bounds) > limits.MostBuckets || !slices.IsSorted(bounds) {
		return nil
	}
	return bounds
}

// count turns metrics on.
func (s *Server) count(c Config) (err error) {
	if s.table == nil {
		if s.table, err = counters.Alone(); err != nil {
			return err
		}
	}
	own := s.table.Figures()
	if own == nil {
		return unix.EINVAL
	}
	own.Now = counters.Now{Number: uint64(max(c.Worker.Number, 1))}
	s.base = *own
	s.loop.Figures = own
	s.page = &metrics.Page{Table: s.table, Bounds: c.Conn.Buckets}
	return nil
}

// measureTurn counts the time since the last turn as Python's. A guest's loop waits in that time, so it is not counted.
func (s *Server) measureTurn(now time.Time) {
	if s.alarm == nil && !s.left.IsZero() {
		s.loop.Figures.Turn(int64(now.Sub(s.left)), now.UnixMilli())
	}
}

// publishFigures stores what is counted elsewhere.
func (s *Server) publishFigures() {
	f, l := s.loop.Figures, &s.loop
	f.Accepted = s.base.Accepted + l.Counts.Accepted
	f.BytesIn = s.base.BytesIn + l.Received()
	f.BytesOut = s.base.BytesOut + l.Sent()
	f.Now.OpenSockets = uint64(s.ws.Live())
}

// Stopping tells whether the server, or the master of its workers, is about to stop.
func (s *Server) Stopping() bool {
	return s.draining || s.unready.Load() != 0 || s.workers != nil && s.workers.Unready().Load() != 0
}

// Metrics is the text of the metrics; requests that one wait has brought get the same text. Our slot shows what is open as it was before
// that wait, so without these requests.
func (s *Server) Metrics() []byte {
	s.publishFigures()
	return s.page.Text(s.loop.Clock.Wall(), s.Stopping())
}
