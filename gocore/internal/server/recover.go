// A panic in the work for one connection costs that connection.

package server

import "saltare/gocore/internal/limits"

// protect takes a step of the turn. Where the work for a connection panics, that connection is ended and the step taken again:
// each step goes on behind the work that it had begun.
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
