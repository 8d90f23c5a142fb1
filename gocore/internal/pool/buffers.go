// Buffers by size class.  per connection

package pool

import (
	"unsafe"

	"saltare/gocore/internal/limits"
)

// Buffer names a piece of a Buffers pool; the zero value is no buffer. It holds no Go pointer.
type Buffer struct {
	base  uintptr
	class uint32
}

// None tells whether b is no buffer.
func (b Buffer) None() bool { return b.base == 0 }

// Bytes is the whole buffer.
func (b Buffer) Bytes() []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&b.base))), limits.BufferClasses[b.class])
}

// Buffers lends buffers of the sizes of limits.BufferClasses. A free buffer's first word links to the next free one.
type Buffers struct {
	free  [len(limits.BufferClasses)]uintptr
	inUse [len(limits.BufferClasses)]int
	spans [len(limits.BufferClasses)][][]byte
	live  int
}

// Get lends a buffer of at least n bytes; n is at most the largest class.
func (p *Buffers) Get(n int) (Buffer, error) {
	class := 0
	for limits.BufferClasses[class] < n {
		class++
	}
	if p.free[class] == 0 {
		if err := p.grow(class); err != nil {
			return Buffer{}, err
		}
	}
	b := Buffer{p.free[class], uint32(class)}
	p.free[class] = *b.link()
	p.inUse[class]++
	p.live++
	return b, nil
}

func (b Buffer) link() *uintptr {
	return (*uintptr)(unsafe.Pointer(unsafe.SliceData(b.Bytes())))
}

func (p *Buffers) grow(class int) error {
	span, err := Map(max(limits.BufferSpanBytes, limits.BufferClasses[class]))
	if err != nil {
		return err
	}
	p.spans[class] = append(p.spans[class], span)
	p.thread(class, span)
	return nil
}

// thread puts every buffer of the span on the free list, the lowest first.
func (p *Buffers) thread(class int, span []byte) {
	size := limits.BufferClasses[class]
	for at := len(span) - size; at >= 0; at -= size {
		b := Buffer{uintptr(unsafe.Pointer(&span[at])), uint32(class)}
		*b.link() = p.free[class]
		p.free[class] = b.base
	}
}

// Put takes a buffer back.
func (p *Buffers) Put(b Buffer) {
	*b.link() = p.free[b.class]
	p.free[b.class] = b.base
	p.inUse[b.class]--
	p.live--
}

// Live is the number of buffers lent.
func (p *Buffers) Live() int { return p.live }

// Release gives the memory of every class back of which nothing is lent.
func (p *Buffers) Release() {
	for class := range p.spans {
		if p.inUse[class] == 0 {
			p.drop(class)
		}
	}
}

func (p *Buffers) drop(class int) {
	for _, span := range p.spans[class] {
		Unmap(span)
	}
	p.spans[class], p.free[class] = nil, 0
}

// Close gives everything back, lent or not.
func (p *Buffers) Close() {
	for class := range p.spans {
		p.drop(class)
	}
	*p = Buffers{}
}
