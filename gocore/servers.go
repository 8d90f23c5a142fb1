// The servers of this process, for its debug counters and its Ps.  per process

package main

import (
	"sync"

	"saltare/gocore/internal/server"
)

type registry struct {
	mu   sync.Mutex
	open map[*server.Server]struct{}
}

var servers registry

// add returns how many there are then.
func (r *registry) add(s *server.Server) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[*server.Server]struct{})
	}
	r.open[s] = struct{}{}
	return len(r.open)
}

func (r *registry) remove(s *server.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
}

func (r *registry) stats() (all []server.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.open {
		all = append(all, s.Stats())
	}
	return all
}
