// Memory of a burst is released to the system, in steps between which requests are handled.

package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"saltare/gocore/internal/limits"
)

// releaseAt is when unused memory is released: some time after connections began to change, even if they still change, because
// health checks alone could postpone it for ever. ok is false if there is nothing to release.
func (s *Server) releaseAt() (at time.Time, ok bool) {
	return s.changeAt.Add(limits.IdleRelease), s.changed
}

// release runs a step of the release when it is due.
func (s *Server) release(now time.Time) {
	if held := s.holds(); held != s.held {
		s.held = held
		s.quiet.afterWork(now)
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
	s.quiet.afterWork(now) // so that the pages of code used by the release are dropped
}

// holds is a number that changes when connections hold more or less memory, so that there may be some to release.
func (s *Server) holds() int {
	l := &s.loop
	return l.Connections() + s.streams.Live() + l.Buffers() + l.Output.Queues() + s.ws.Held()
}

// releaseSome releases a limited amount of unused memory, because of the time it takes; more tells whether any is left.
func (s *Server) releaseSome() (more bool) {
	released := s.streams.Release() + s.h1.Release()
	released += s.loop.Release(limits.ReleaseBytes - released)
	released += s.ws.Release(limits.ReleaseBytes - released)
	if s.access != nil {
		released += s.access.Release(limits.ReleaseBytes - released)
	}
	if released >= limits.ReleaseBytes {
		return true
	}
	s.loop.Shrink()
	s.ws.Shrink()
	return false
}

// goHeap is Go's heap, shared by all servers of the process. Little of it is garbage, because bursts allocate elsewhere. But an idle
// process never collects that garbage, and a busy one returns pages so slowly that the next burst comes first.
//
// A collection has a price: the first one takes a quarter of a MiB for good, for the lists of spans that it sweeps. So does
// ReadMemStats, which is why bytes does not call it.
type goHeap struct {
	mu    sync.Mutex
	least uint64 // bytes held after the last release
	held  [3]metrics.Sample
}

var heap = goHeap{
	least: limits.HeapBytes,
	held:  [...]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}},
}

// release collects and returns garbage, if the heap has grown enough.
func (h *goHeap) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.bytes()
	if held < h.least+limits.GarbageBytes {
		h.least = min(h.least, held)
		return
	}
	runtime.GC() // sync.Pool keeps its contents through one collection; FreeOSMemory runs a second one
	debug.FreeOSMemory()
	h.least = h.bytes()
}

// bytes is the memory that the heap occupies.
func (h *goHeap) bytes() (n uint64) {
	metrics.Read(h.held[:])
	for _, part := range h.held {
		n += part.Value.Uint64()
	}
	return n
}
