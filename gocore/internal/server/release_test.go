// When memory is released, and that this includes Go's heap.

package server

import (
	"runtime"
	"testing"
	"time"

	"saltare/gocore/internal/limits"
)

// moves simulates that the server holds more or less than a moment ago.
func (s *Server) moves() { s.held = -1 }

func TestReleaseComesOnceForEachChange(t *testing.T) {
	s, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	if s.release(now); s.changed {
		t.Error("an unused server has something to release")
	}
	s.moves()
	s.release(now)
	if at, ok := s.releaseAt(); !ok || !at.Equal(now.Add(limits.IdleRelease)) {
		t.Errorf("at %v, %v", at, ok)
	}
	if s.release(now.Add(limits.IdleRelease - 1)); !s.changed {
		t.Error("released before its time")
	}
	if s.release(now.Add(limits.IdleRelease)); s.changed {
		t.Error("not released")
	}
	if s.release(now.Add(2 * limits.IdleRelease)); s.changed {
		t.Error("to be released again, though nothing has changed")
	}
}

// Health checks, each a connection that comes and goes, do not delay it for ever.
func TestReleaseComesThoughConnectionsComeAndGo(t *testing.T) {
	s, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	releases, now := 0, time.Now()
	for range 100 {
		s.moves()
		before := s.changed
		s.release(now)
		if before && !s.changed {
			releases++
		}
		now = now.Add(limits.IdleRelease / 10)
	}
	if releases < 8 || releases > 10 {
		t.Errorf("%d releases in ten times as long as one takes to come", releases)
	}
}

// A collection that other tests' garbage has begun keeps what is allocated meanwhile, so one release may leave more.
func TestGarbageIsGivenBack(t *testing.T) {
	var left, held uint64
	for range 5 {
		if left, held = releaseGarbage(t); left <= held-6<<20 { // other tests may have left a little more
			return
		}
	}
	t.Errorf("%d bytes are left of %d", left, held)
}

// releaseGarbage makes 8 MiB of garbage and returns how much the heap held with it, and how much after its release.
func releaseGarbage(t *testing.T) (left, held uint64) {
	runtime.GC()
	h := goHeap{least: limits.HeapBytes, held: heap.held}
	h.release()
	least := h.least
	if held = h.bytes(); held > least+limits.GarbageBytes {
		t.Fatalf("%d bytes are held, %d after the release", held, least)
	}
	garbage := make([][]byte, 128) // some of which the heap may have room for
	for i := range garbage {
		garbage[i] = make([]byte, 64<<10)
		garbage[i][0] = 'x'
	}
	held = h.bytes()
	runtime.KeepAlive(garbage)
	if held < least+4<<20 {
		t.Fatalf("%d bytes with 4 MiB more than %d", held, least)
	}
	begin := time.Now()
	h.release()
	t.Logf("took %v", time.Since(begin))
	return h.bytes(), held
}
