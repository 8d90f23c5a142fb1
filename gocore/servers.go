// The open servers of this process, for its debug counters and its number of Ps.

package main

import (
	"slices"
	"sync"

	"saltare/gocore/internal/server"
)

type registry struct {
	mu   sync.Mutex
	open []*server.Server
}

var servers registry

// add returns the number of threads that the open servers run Go in: those of each, and another one for handshakes of TLS.
func (r *registry) add(s *server.Server) (threads int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, s)
	for _, one := range r.open {
		threads += one.Threads()
	}
	if slices.ContainsFunc(r.open, (*server.Server).HasTLS) {
		threads++
	}
	return threads
}

func (r *registry) remove(s *server.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = slices.DeleteFunc(r.open, func(other *server.Server) bool { return other == s })
}

func (r *registry) stats() (all []server.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.open {
		all = append(all, s.Stats())
	}
	return all
}
