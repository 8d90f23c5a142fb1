// Buffers by size class.

package pool

import (
	"math/bits"
	"os"
	"slices"
	"unsafe"

	"saltare/gocore/internal/limits"
)

// Buffer is a buffer of a Buffers pool; the zero value is no buffer. It holds no Go pointer.
type Buffer struct {
	base  uintptr
	span  uint32 // number of its span; without a class, its number of pages
	class uint8
}

// unclassed is the class of buffers larger than every class, each with its own mapping.
const unclassed = uint8(len(limits.BufferClasses))

var pageBytes = os.Getpagesize()

// None tells whether b is no buffer.
func (b Buffer) None() bool { return b.base == 0 }

func (b Buffer) Bytes() []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&b.base))), b.size())
}

func (b Buffer) size() int {
	if b.class == unclassed {
		return int(b.span) * pageBytes
	}
	return limits.BufferClasses[b.class]
}

// Buffers lends buffers of the sizes in limits.BufferClasses, and larger ones. The free bits lie outside the spans, so a page becomes
// resident only when a buffer in it is used.
type Buffers struct {
	classes [unclassed]class
	live    int
}

// class is the buffers of one size.
type class struct {
	spans []span
	first int // no span before this one has a free buffer
}

// span is memory for some buffers of one class. Its number does not change while one of them is lent.
type span struct {
	memory []byte // nil: released
	free   uint64 // one bit per buffer that is not lent
	dirty  bool   // free buffers were used since their pages were last released
}

// inSpan is the number of buffers of a size in one span.
func inSpan(size int) int { return min(64, limits.BufferSpanBytes/size) }

// allFree has the bits of all buffers of a span.
func allFree(size int) uint64 { return 1<<inSpan(size) - 1 }

// Get lends a buffer of at least n bytes.
func (p *Buffers) Get(n int) (Buffer, error) {
	number := uint8(0)
	for number < unclassed && limits.BufferClasses[number] < n {
		number++
	}
	if number == unclassed {
		return p.getUnclassed(n)
	}
	k, size := &p.classes[number], limits.BufferClasses[number]
	i, err := k.withRoom(size)
	if err != nil {
		return Buffer{}, err
	}
	s := &k.spans[i]
	at := bits.TrailingZeros64(s.free)
	s.free &^= 1 << at
	p.live++
	return Buffer{uintptr(unsafe.Pointer(&s.memory[at*size])), uint32(i), number}, nil
}

func (p *Buffers) getUnclassed(n int) (Buffer, error) {
	pages := (n + pageBytes - 1) / pageBytes
	memory, err := Map(pages * pageBytes)
	if err != nil {
		return Buffer{}, err
	}
	p.live++
	return Buffer{uintptr(unsafe.Pointer(&memory[0])), uint32(pages), unclassed}, nil
}

// withRoom returns the number of a span with a free buffer.
func (k *class) withRoom(size int) (int, error) {
	for ; k.first < len(k.spans); k.first++ {
		if k.spans[k.first].free != 0 {
			return k.first, nil
		}
	}
	memory, err := Map(inSpan(size) * size)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(k.spans, func(s span) bool { return s.memory == nil })
	if i < 0 {
		i, k.spans = len(k.spans), append(k.spans, span{})
	}
	k.spans[i] = span{memory: memory, free: allFree(size)}
	k.first = i
	return i, nil
}

// Put takes a buffer back.
func (p *Buffers) Put(b Buffer) {
	p.live--
	if b.class == unclassed {
		Unmap(b.Bytes())
		return
	}
	k := &p.classes[b.class]
	s := &k.spans[b.span]
	at := int(b.base-uintptr(unsafe.Pointer(&s.memory[0]))) / b.size()
	s.free |= 1 << at
	s.dirty = true
	k.first = min(k.first, int(b.span))
}

// Live is the number of buffers lent.
func (p *Buffers) Live() int { return p.live }

// Release releases spans with no buffer lent, and in other spans the pages of free buffers: about most bytes, because of the time it
// takes. It returns how many.
func (p *Buffers) Release(most int) (released int) {
	for i := range p.classes {
		released += p.classes[i].release(limits.BufferClasses[i], most-released)
	}
	return released
}

func (k *class) release(size, most int) (released int) {
	for i := range k.spans {
		if released >= most {
			break
		}
		s := &k.spans[i]
		switch {
		case s.memory == nil:
		case s.free == allFree(size):
			released += len(s.memory)
			Unmap(s.memory)
			*s = span{}
		case s.dirty:
			released += len(s.memory)
			s.discard(size)
		}
	}
	for n := len(k.spans); n > 0 && k.spans[n-1].memory == nil; n-- {
		k.spans = k.spans[:n-1]
	}
	k.spans = Fitted(k.spans)
	k.first = 0
	return released
}

// discard releases the pages that only free buffers touch.
func (s *span) discard(size int) {
	s.dirty = false
	for at, n := 0, inSpan(size); at < n; {
		if s.free>>at&1 == 0 {
			at++
			continue
		}
		run := min(bits.TrailingZeros64(^(s.free >> at)), n-at)
		from, to := roundUp(at*size, pageBytes), (at+run)*size/pageBytes*pageBytes
		if from < to {
			Discard(s.memory[from:to])
		}
		at += run
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// Close releases all spans, lent or not.
func (p *Buffers) Close() {
	for i := range p.classes {
		for _, s := range p.classes[i].spans {
			if s.memory != nil {
				Unmap(s.memory)
			}
		}
	}
	*p = Buffers{}
}

// Fitted is a table without the spare capacity that a burst left; nil for an empty table.
func Fitted[T any](table []T) []T {
	switch {
	case len(table) == 0:
		return nil
	case cap(table) > 2*len(table)+16:
		return slices.Clone(table)
	}
	return table
}
