// Recovery from panics: a panic in the work on a connection ends only that connection.

package server

import "saltare/gocore/internal/limits"

// protect runs a step of the turn. If it panics, the connection being worked on is closed and the step runs again: each step
// continues after the work that it had begun.
func (s *Server) protect(step func()) {
	for n := 0; n < limits.PanicsPerStep && !s.attempt(step); n++ {
	}
}

func (s *Server) attempt(step func()) (done bool) {
	if s.recovers {
		defer func() {
			if !done {
				s.loop.Recover(recover())
				s.ws.Recover()
			}
		}()
	}
	s.loop.WorkFor(nil)
	step()
	return true
}
