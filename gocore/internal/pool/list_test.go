// Lists: they return what was put in, and shrink after a burst.

package pool

import (
	"slices"
	"testing"
)

func TestAListKeepsItsOrder(t *testing.T) {
	var l List[uint32]
	defer l.Close()
	var want []uint32
	for i := range uint32(10_000) {
		l.Append(i)
		want = append(want, i)
		switch {
		case i%7 == 0:
			last := len(want) - 1
			if got := l.Pop(); got != want[last] {
				t.Fatalf("%d for %d", got, want[last])
			}
			want = want[:last]
		case i%1000 == 999:
			l.Drop(300)
			want = slices.Delete(want, 0, 300)
			l.Release()
		}
	}
	odd := func(i uint32) bool { return i%2 == 1 }
	l.Delete(odd)
	want = slices.DeleteFunc(want, odd)
	if !slices.Equal(l.Items(), want) || l.Len() != len(want) {
		t.Errorf("%d items of %d", l.Len(), len(want))
	}
}

func TestAListShrinks(t *testing.T) {
	var l List[uint32]
	defer l.Close()
	for i := range uint32(100_000) {
		l.Append(i)
	}
	for _, left := range []int{100_000, 10_000, 1000, 100, 0} {
		l.Drop(l.Len() - left)
		l.Release()
		if most := 2*4*left + pageBytes; 4*cap(l.items) > most+pageBytes {
			t.Errorf("room for %d with %d left", cap(l.items), left)
		}
		if left > 0 && l.Items()[0] != uint32(100_000-left) {
			t.Errorf("begins with %d", l.Items()[0])
		}
	}
	if l.mapped != nil {
		t.Error("an empty list holds a mapping")
	}
}

// A burst leaves no garbage.
func TestALongListIsNotInGosHeap(t *testing.T) {
	var l List[uint32]
	defer l.Close()
	for i := range uint32(pageBytes) {
		l.Append(i)
	}
	if n := testing.AllocsPerRun(1, func() {
		for i := range uint32(1_000_000) {
			l.Append(i)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
