// Read buffers: their sizes, that no two overlap, and what is released.

package pool

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

func get(t *testing.T, p *Buffers, n int) Buffer {
	t.Helper()
	b, err := p.Get(n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABufferIsALittleRecord(t *testing.T) {
	if size := unsafe.Sizeof(Buffer{}); size > 16 {
		t.Errorf("a Buffer in each connection takes %d bytes", size)
	}
	if !(Buffer{}).None() {
		t.Error("the zero Buffer is one")
	}
}

func TestBufferSizes(t *testing.T) {
	var p Buffers
	defer p.Close()
	for i, class := range limits.BufferClasses {
		below := 1
		if i > 0 {
			below = limits.BufferClasses[i-1] + 1
		}
		for _, n := range []int{below, class} {
			if b := get(t, &p, n); len(b.Bytes()) != class {
				t.Errorf("%d bytes asked for, %d given, not %d", n, len(b.Bytes()), class)
			}
		}
	}
	if p.Live() != 2*len(limits.BufferClasses) {
		t.Errorf("live: %d", p.Live())
	}
}

// TestBuffersDoNotOverlap fills each buffer with its own byte and finds it unchanged while other buffers come and go.
func TestBuffersDoNotOverlap(t *testing.T) {
	var p Buffers
	defer p.Close()
	random := rand.New(rand.NewPCG(1, 2))
	lent := map[byte]Buffer{}
	for range 2000 {
		id := byte(random.Uint32N(250) + 1)
		if b, ok := lent[id]; ok {
			if data := b.Bytes(); bytes.Count(data, []byte{id}) != len(data) {
				t.Fatalf("a buffer of %d bytes was written to by another", len(data))
			}
			p.Put(b)
			delete(lent, id)
			continue
		}
		b := get(t, &p, 1+random.IntN(limits.BufferClasses[random.IntN(len(limits.BufferClasses))]))
		copy(b.Bytes(), bytes.Repeat([]byte{id}, len(b.Bytes())))
		lent[id] = b
	}
	if p.Live() != len(lent) {
		t.Errorf("live: %d, lent: %d", p.Live(), len(lent))
	}
}

func TestReleaseGivesBackClassesOfWhichNothingIsLent(t *testing.T) {
	var p Buffers
	defer p.Close()
	small, large := get(t, &p, 1), get(t, &p, limits.BufferClasses[3])
	small.Bytes()[0] = 'x'
	p.Put(large)
	span := p.classes[3].spans[0].memory
	p.Release(1)
	if isMapped(span) || !isMapped(p.classes[0].spans[0].memory) {
		t.Error("what is lent is mapped and nothing else")
	}
	if len(p.classes[0].spans) != 1 || p.classes[3].spans != nil {
		t.Errorf("spans after the release: %d small, %d large", len(p.classes[0].spans), len(p.classes[3].spans))
	}
	if small.Bytes()[0] != 'x' {
		t.Error("a lent buffer was released")
	}
	if b := get(t, &p, limits.BufferClasses[3]); len(b.Bytes()) != limits.BufferClasses[3] {
		t.Error("no buffer after the release")
	}
}

// touched is how many pages of a mapping are resident (mincore(2)).
func touched(t *testing.T, b []byte) (n int) {
	t.Helper()
	in := make([]byte, (len(b)+pageBytes-1)/pageBytes)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range in {
		n += int(page & 1)
	}
	return n
}

// A new span costs only what is used of it: the first buffer, and nothing for buffers that nobody writes to.
func TestASpanIsTouchedAsFarAsItIsUsed(t *testing.T) {
	for _, size := range limits.BufferClasses {
		var p Buffers
		var lent []Buffer
		for range inSpan(size) {
			lent = append(lent, get(t, &p, size))
		}
		for _, b := range lent {
			p.Put(b)
		}
		b := get(t, &p, size)
		span := p.classes[b.class].spans[0].memory
		if n := touched(t, span); n != 0 {
			t.Errorf("of %d bytes: %d pages were touched, and none was used", size, n)
		}
		b.Bytes()[0] = 'x'
		if n := touched(t, span); n != 1 {
			t.Errorf("of %d bytes: %d pages were touched for one byte", size, n)
		}
		p.Close()
	}
}

// Free memory around a buffer in use is released: one slow peer must not keep what a thousand have used.
func TestReleaseGivesBackPagesAroundWhatIsLent(t *testing.T) {
	for _, size := range limits.BufferClasses {
		var p Buffers
		var lent []Buffer
		for range 3 * inSpan(size) {
			b := get(t, &p, size)
			for i := range b.Bytes() {
				b.Bytes()[i] = 'x'
			}
			lent = append(lent, b)
		}
		kept := lent[inSpan(size)+inSpan(size)/2]
		for _, b := range lent {
			if b != kept {
				p.Put(b)
			}
		}
		for p.Release(1) > 0 { // step by step
		}
		k := &p.classes[kept.class]
		if len(k.spans) != 2 || k.spans[0].memory != nil {
			t.Fatalf("of %d bytes: %d spans are left", size, len(k.spans))
		}
		if n, most := touched(t, k.spans[1].memory), max(1, size/pageBytes); n > most {
			t.Errorf("of %d bytes: %d pages are left for a buffer that takes %d", size, n, most)
		}
		if bytes.Count(kept.Bytes(), []byte{'x'}) != size {
			t.Errorf("of %d bytes: what is lent was released", size)
		}
		seen := map[uintptr]bool{kept.base: true}
		for range 2 * inSpan(size) { // every buffer handed out again is free
			b := get(t, &p, size)
			if seen[b.base] {
				t.Fatal("handed out twice")
			}
			seen[b.base] = true
		}
		p.Close()
	}
}

func TestReleaseStopsAfterSoManyBytes(t *testing.T) {
	var p Buffers
	defer p.Close()
	const size, spans = 16 << 10, 10
	var lent []Buffer
	for range spans * inSpan(size) {
		lent = append(lent, get(t, &p, size))
	}
	for _, b := range lent {
		p.Put(b)
	}
	for left := spans; left > 0; left -= 2 {
		if released := p.Release(2 * limits.BufferSpanBytes); released != 2*limits.BufferSpanBytes {
			t.Fatalf("%d bytes in a step", released)
		}
	}
	if released := p.Release(1); released != 0 || p.classes[2].spans != nil {
		t.Errorf("%d bytes were left", released)
	}
}

func TestBuffersLargerThanEveryClass(t *testing.T) {
	var p Buffers
	n := limits.BufferClasses[len(limits.BufferClasses)-1] + 1
	b := get(t, &p, n)
	data := b.Bytes()
	if len(data) < n || p.Live() != 1 {
		t.Fatalf("%d bytes of %d, %d live", len(data), n, p.Live())
	}
	data[0], data[n-1] = 'x', 'y'
	p.Put(b)
	if isMapped(data) || p.Live() != 0 {
		t.Error("it is mapped still")
	}
}

// isMapped asks the kernel (msync(2): ENOMEM).
func isMapped(b []byte) bool { return unix.Msync(b, unix.MS_ASYNC) == nil }

func TestCloseUnmaps(t *testing.T) {
	var buffers Buffers
	get(t, &buffers, 1)
	var slab Slab[[64]byte]
	if _, _, err := slab.Alloc(); err != nil {
		t.Fatal(err)
	}
	span, chunk := buffers.classes[0].spans[0].memory, slab.chunks[0]
	if !isMapped(span) || !isMapped(chunk) {
		t.Fatal("there is nothing to unmap")
	}
	buffers.Close()
	slab.Close()
	if isMapped(span) || isMapped(chunk) {
		t.Error("it is mapped still")
	}
}

func TestBuffersAllocateNothingOnceWarm(t *testing.T) {
	var p Buffers
	defer p.Close()
	p.Put(get(t, &p, 100))
	if n := testing.AllocsPerRun(100, func() {
		b, _ := p.Get(100)
		p.Put(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
