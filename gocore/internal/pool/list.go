// Lists that bursts make grow.

package pool

import (
	"slices"
	"unsafe"
)

// List is a list of T outside Go's heap once it is longer than a page, so that growing leaves no garbage. T must hold no pointers.
// Its zero value is empty.
type List[T any] struct {
	items  []T
	mapped []byte // what items lie in; nil: in Go's heap
}

// Items are those of the list, until the next Append or Release.
func (l *List[T]) Items() []T { return l.items }

// Len is how many there are.
func (l *List[T]) Len() int { return len(l.items) }

// Append adds an item at the end.
func (l *List[T]) Append(item T) {
	if len(l.items) == cap(l.items) {
		l.grow()
	}
	l.items = append(l.items, item)
}

// Pop takes the last item off a list that has one.
func (l *List[T]) Pop() (item T) {
	last := len(l.items) - 1
	item, l.items = l.items[last], l.items[:last]
	return item
}

// Drop takes the first n items off.
func (l *List[T]) Drop(n int) { l.items = l.items[:copy(l.items, l.items[n:])] }

// Delete takes those items off that are to go.
func (l *List[T]) Delete(goes func(T) bool) { l.items = slices.DeleteFunc(l.items, goes) }

func bytesOf[T any](n int) int { return n * int(unsafe.Sizeof(*new(T))) }

// grow makes room for twice as many, and as many as fit a page at least.
func (l *List[T]) grow() {
	if size := bytesOf[T](2 * cap(l.items)); size > pageBytes {
		l.move(size)
	} else if l.items == nil {
		l.items = make([]T, 0, 8)
	} else {
		l.items = append(make([]T, 0, 2*cap(l.items)), l.items...)
	}
}

// move puts the items into a mapping of at least so many bytes. Without memory for it the process ends, as when Go's heap can't grow.
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

// Release gives back the room that is not needed now.
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

// Close makes it an empty list that holds nothing.
func (l *List[T]) Close() {
	if l.mapped != nil {
		Unmap(l.mapped)
	}
	*l = List[T]{}
}
