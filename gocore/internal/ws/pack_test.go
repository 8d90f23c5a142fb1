// Memory of compression is released again, and lies outside Go's heap.

package ws

import (
	"bytes"
	"testing"
)

func TestPacksShrinkToTheLastInUse(t *testing.T) {
	var p packs
	numbers := make([]uint32, 1000)
	for i := range numbers {
		p.of(&numbers[i])
	}
	kept := p.of(&numbers[2])
	for i := range numbers {
		if i != 2 {
			p.drop(&numbers[i])
		}
	}
	p.release()
	if len(p.all) != 3 || cap(p.all) > 100 || p.free.Len() != 2 || p.live() != 1 || p.of(&numbers[2]) != kept {
		t.Errorf("%d of %d, %d free, %d live", len(p.all), cap(p.all), p.free.Len(), p.live())
	}
	for i := range numbers { // numbers are handed out once
		p.of(&numbers[i]).filled = i
	}
	for i := range numbers {
		if got := p.of(&numbers[i]).filled; got != i {
			t.Fatalf("pack %d is that of %d", i, got)
		}
	}
}

func TestAMessageInPiecesIsGatheredOutsideGosHeap(t *testing.T) {
	var p packs
	var held pack
	piece := bytes.Repeat([]byte("0123456789"), 1000)
	all := 0
	gather := func() {
		whole, err := p.gather(&held, piece)
		if err != nil {
			t.Fatal(err)
		}
		if all += len(piece); len(whole) != all || !bytes.HasSuffix(whole, piece) || !bytes.HasPrefix(whole, piece) {
			t.Fatalf("%d octets of %d", len(whole), all)
		}
	}
	gather()
	if n := testing.AllocsPerRun(100, gather); n > 0.5 {
		t.Errorf("%v allocations for each piece", n)
	}
	p.dropGathered(&held)
	if p.buffers.Live() != 0 {
		t.Error("the buffer is lent still")
	}
	p.buffers.Close()
}
