// Memory that a burst has left goes back to the system, in steps between which requests are looked at.

package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"saltare/gocore/internal/limits"
)

// releaseAt is when memory that nothing uses is given back: a while after what the host holds began to change, whether or not it
// still does, since health checks alone would go on for ever. ok is false while there is nothing to give.
func (s *Server) releaseAt() (at time.Time, ok bool) {
	return s.changeAt.Add(limits.IdleRelease), s.changed
}

// release does a step of it when its time has come. The last step ends it.
func (s *Server) release(now time.Time) {
	if held := s.holds(); held != s.held {
		s.held = held
		if !s.changed {
			s.changed, s.changeAt = true, now
		}
	}
	at, ok := s.releaseAt()
	if !ok || now.Before(at) || s.loop.Waiting() || !s.inbox.Empty() || s.inbox.Late() {
		return
	}
	if s.releaseSome() {
		s.large = true
		return
	}
	s.changed = false
	s.inbox.Trim()
	heap.release()
	if s.large {
		s.large = false
		s.quiet.afterLargeRelease(now)
	}
	s.quiet.afterWork(now) // for what all of that has touched
}

// holds is a number that changes when connections hold more or less than before, so that there may be something to release.
func (s *Server) holds() int {
	l := &s.loop
	return l.Connections() + s.streams.Live() + l.Buffers() + l.Output.Queues() + s.ws.Held()
}

// releaseSome gives memory back that nothing uses now; more tells that there is more of it than one call gives, for the time it takes.
func (s *Server) releaseSome() (more bool) {
	released := s.streams.Release() + s.h1.Release()
	released += s.loop.Release(limits.ReleaseBytes - released)
	released += s.ws.Release(limits.ReleaseBytes - released)
	if released >= limits.ReleaseBytes {
		return true
	}
	s.loop.Shrink()
	s.ws.Shrink()
	return false
}

// goHeap is Go's heap, of which a process has one for all servers. Little of it is garbage, since what bursts hold lies elsewhere;
// but an idle process never collects that, and a busy one returns pages so slowly that the next burst comes first.
//
// A collection is no free gift: the first one takes a quarter of a MiB for good, for the lists of spans that it sweeps. So does
// ReadMemStats, which is why it is not asked.
type goHeap struct {
	mu    sync.Mutex
	least uint64 // bytes it held when it was last given back
	held  [3]metrics.Sample
}

var heap = goHeap{
	least: limits.HeapBytes,
	held:  [...]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}},
}

// release gives garbage back, if there is enough of it.
func (h *goHeap) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.bytes()
	if held < h.least+limits.GarbageBytes {
		h.least = min(h.least, held)
		return
	}
	runtime.GC() // what a sync.Pool keeps outlives one collection
	debug.FreeOSMemory()
	h.least = h.bytes()
}

// bytes is what the heap takes of the memory of the process.
func (h *goHeap) bytes() (n uint64) {
	metrics.Read(h.held[:])
	for _, part := range h.held {
		n += part.Value.Uint64()
	}
	return n
}
