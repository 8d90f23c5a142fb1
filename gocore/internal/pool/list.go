// Lists that grow in bursts.

package pool

import (
	"slices"
	"unsafe"
)

// List is a list of T. Beyond the size of a page it lies outside Go's heap, so that growing leaves no garbage. T must hold no pointers.
// The zero value is an empty list.
type List[T any] struct {
	items  []T
	mapped []byte // the memory of items; nil: in Go's heap
}

// Items is the list's items, valid until the next Append or Release.
func (l *List[T]) Items() []T { return l.items }

func (l *List[T]) Len() int { return len(l.items) }

func (l *List[T]) Append(item T) {
	if len(l.items) == cap(l.items) {
		l.grow()
	}
	l.items = append(l.items, item)
}

// Pop removes the last item of a list that is not empty.
func (l *List[T]) Pop() (item T) {
	last := len(l.items) - 1
	item, l.items = l.items[last], l.items[:last]
	return item
}

// Drop removes the first n items.
func (l *List[T]) Drop(n int) { l.items = l.items[:copy(l.items, l.items[n:])] }

// Delete removes the items for which goes is true.
func (l *List[T]) Delete(goes func(T) bool) { l.items = slices.DeleteFunc(l.items, goes) }

func bytesOf[T any](n int) int { return n * int(unsafe.Sizeof(*new(T))) }

// grow doubles the capacity, to at least a page.
func (l *List[T]) grow() {
	if size := bytesOf[T](2 * cap(l.items)); size > pageBytes {
		l.move(size)
	} else if l.items == nil {
		l.items = make([]T, 0, 8)
	} else {
		l.items = append(make([]T, 0, 2*cap(l.items)), l.items...)
	}
}

// move puts the items into a mapping of at least size bytes. If mapping fails the process ends, as when Go's heap cannot grow.
func (l *List[T]) move(size int) {
	size = roundUp(size, pageBytes)
	memory, err := Map(size)
	if err != nil {
		panic("out of memory: " + err.Error())
	}
	room := unsafe.Slice((*T)(unsafe.Pointer(&memory[0])), size/bytesOf[T](1))
	items := room[:copy(room, l.items)]
	l.Close()
	l.items, l.mapped = items, memory
}

// Release releases unused capacity.
func (l *List[T]) Release() {
	switch need := bytesOf[T](len(l.items)); {
	case l.mapped == nil:
	case need <= pageBytes/2:
		kept := append([]T(nil), l.items...)
		l.Close()
		l.items = kept
	case len(l.mapped) > 2*need+pageBytes:
		l.move(need)
	}
}

// Close empties the list and releases its memory.
func (l *List[T]) Close() {
	if l.mapped != nil {
		Unmap(l.mapped)
	}
	*l = List[T]{}
}
