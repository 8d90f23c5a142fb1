// Records by number: which number is next, that no two share memory, and what is released.

package pool

import (
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

type record struct {
	value uint64
	more  [3]uint32
}

func alloc(t *testing.T, s *Slab[record]) (uint32, *record) {
	t.Helper()
	i, r, err := s.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	return i, r
}

func TestSlabNumbersRecordsFromZero(t *testing.T) {
	var s Slab[record]
	defer s.Close()
	for want := range uint32(10000) { // more than one chunk
		i, r := alloc(t, &s)
		if i != want || r.value != 0 {
			t.Fatalf("number %d with %d in it, want %d and 0", i, r.value, want)
		}
		r.value = uint64(i) + 1
	}
	for i := range uint32(10000) {
		if v := s.At(i).value; v != uint64(i)+1 {
			t.Fatalf("record %d holds %d", i, v)
		}
	}
	if s.Live() != 10000 || s.Len() != 10000 || s.Has(10000) || !s.Has(9999) {
		t.Errorf("live %d, len %d", s.Live(), s.Len())
	}
	if want := 10000 * int(unsafe.Sizeof(record{})) / limits.SlabChunkBytes; len(s.chunks) < want || len(s.chunks) > 2*want {
		t.Errorf("%d chunks, at least %d are needed", len(s.chunks), want)
	}
}

func TestSlabHandsOutTheLastFreedFirstAndZeroed(t *testing.T) {
	var s Slab[record]
	defer s.Close()
	for range 3 {
		_, r := alloc(t, &s)
		r.value, r.more[2] = 7, 7
	}
	s.Free(0)
	s.Free(2)
	for _, want := range []uint32{2, 0, 3} {
		if i, r := alloc(t, &s); i != want || *r != (record{}) {
			t.Errorf("number %d with %v, want %d zeroed", i, *r, want)
		}
	}
}

func TestSlabReleaseKeepsWhatIsUsed(t *testing.T) {
	var s Slab[record]
	defer s.Close()
	for range 10000 {
		alloc(t, &s)
	}
	s.Release()
	if len(s.chunks) < 2 || s.Live() != 10000 {
		t.Fatal("released while records are in use")
	}
	chunks := len(s.chunks)
	for i := uint32(10000 - 1); i > 5000; i-- {
		s.Free(i)
	}
	s.Release()
	if len(s.chunks) >= chunks || !s.Has(5000) || s.Has(9999) || s.Live() != 5001 {
		t.Fatalf("%d of %d chunks are left, %d live", len(s.chunks), chunks, s.Live())
	}
	for range 4999 {
		if i, r := alloc(t, &s); i <= 5000 || *r != (record{}) {
			t.Fatalf("number %d with %v is in use", i, *r)
		}
	}
	for i := range uint32(10000) {
		s.Free(i)
	}
	s.Release()
	if len(s.chunks) != 1 || s.Has(0) {
		t.Errorf("%d chunks are left, record 0 known: %v", len(s.chunks), s.Has(0))
	}
	if i, r := alloc(t, &s); i != 0 || *r != (record{}) {
		t.Errorf("number %d with %v after the release", i, *r)
	}
}

// A record that stays costs its chunk, not the chunks before it.
func TestSlabReleaseGivesBackChunksBeforeTheLast(t *testing.T) {
	var s Slab[record]
	defer s.Close()
	for range 10000 {
		_, r := alloc(t, &s)
		r.value = 7
	}
	const kept = 9000
	for i := range uint32(10000) {
		if i != kept {
			s.Free(i)
		}
	}
	if s.Release() == 0 {
		t.Error("nothing was released")
	}
	pages := 0
	for _, chunk := range s.chunks {
		pages += touched(t, chunk)
	}
	if most := limits.SlabChunkBytes / pageBytes; pages > most || s.At(kept).value != 7 || s.At(3).value != 0 {
		t.Errorf("%d pages are left, %d fit a chunk", pages, most)
	}
	if s.Release() != 0 {
		t.Error("released twice")
	}
	for range 9000 {
		if i, r := alloc(t, &s); i == kept || *r != (record{}) {
			t.Fatalf("number %d with %v", i, *r)
		}
	}
}

func TestSlabCloseForgetsAll(t *testing.T) {
	var s Slab[record]
	alloc(t, &s)
	s.Close()
	if s.Has(0) || s.Live() != 0 || s.Len() != 0 {
		t.Errorf("live %d, len %d after close", s.Live(), s.Len())
	}
}

func TestSlabAllocatesNothingOnceWarm(t *testing.T) {
	var s Slab[record]
	defer s.Close()
	alloc(t, &s)
	s.Free(0)
	if n := testing.AllocsPerRun(100, func() {
		i, _, _ := s.Alloc()
		s.Free(i)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
