// Read buffers: their sizes, that no two overlap, what is given back.  per process

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

// TestBuffersDoNotOverlap fills each buffer with a byte of its own and finds it again, whatever came and went meanwhile.
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
		t.Error("a lent buffer was given back")
	}
	if b := get(t, &p, limits.BufferClasses[3]); len(b.Bytes()) != limits.BufferClasses[3] {
		t.Error("no buffer after the release")
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
