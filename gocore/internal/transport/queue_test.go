// Unsent output by itself: it leaves unchanged and in order, and what it costs.

package transport

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// drained takes all unsent bytes out, some at a time.
func (o *Output) drained(c *Conn, step int) (all []byte) {
	for c.queue != 0 {
		s := o.queues.front(c)
		n := min(step, s.n-s.off)
		all = append(all, s.own.Bytes()[s.off:s.off+n]...)
		o.dequeue(c, n)
	}
	return all
}

func TestUnsentBytesKeepTheirOrder(t *testing.T) {
	o := &openLoop(t).Output
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		var want []byte
		c := &Conn{}
		for range random.IntN(60) + 1 {
			b := bytes.Repeat([]byte{byte(random.Uint32())}, []int{1, 100, 4000, 20_000, 100_000}[random.IntN(5)])
			want = append(want, b...)
			if !o.enqueueCopy(c, b) {
				t.Fatal("no memory")
			}
			if o.queues.unsent(c) != len(want) {
				t.Fatalf("%d of %d are unsent", o.queues.unsent(c), len(want))
			}
		}
		if got := o.drained(c, 1+random.IntN(30_000)); !bytes.Equal(got, want) {
			t.Fatal("other bytes came out")
		}
		o.loop.Timers.wheel.Remove(c.number, &c.node)
	}
	if o.queues.bytes != 0 || o.queues.all.Live()+o.queues.segments.Live()+o.queues.buffers.Live() != 0 {
		t.Errorf("left: %d bytes in %d queues", o.queues.bytes, o.queues.all.Live())
	}
}

// Small pieces are stored together, in buffers that grow with them.
func TestWhatUnsentBytesCost(t *testing.T) {
	o := &openLoop(t).Output
	for _, size := range []int{1, 30, 500, 4000, 64 << 10} {
		c := &Conn{}
		for n := 0; n < 64<<10; n += size {
			if !o.enqueueCopy(c, make([]byte, size)) {
				t.Fatal("no memory")
			}
		}
		room := 0
		for number := o.queues.of(c).first; number != 0; {
			s := o.queues.segments.At(number - 1)
			room += len(s.own.Bytes()) + limits.SegmentBytes
			number = s.next
		}
		if unused := room - o.queues.unsent(c); unused > limits.UnsentBytes {
			t.Errorf("in pieces of %d bytes: %d bytes more than are unsent", size, unused)
		}
		o.dropQueue(c)
	}
}

func TestUnsentBytesLieOutsideGosHeap(t *testing.T) {
	o := &openLoop(t).Output
	b := make([]byte, 60<<10)
	c := &Conn{}
	once := func() {
		if !o.enqueueCopy(c, b) {
			t.Fatal("no memory")
		}
		o.dropQueue(c)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A file counts its descriptor, so that a slow peer cannot hold hundreds of them by requesting parts of a byte.
func TestWhatFilesInAQueueCount(t *testing.T) {
	o := &openLoop(t).Output
	c := &Conn{}
	for n := 1; n <= 3; n++ {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := o.FilePiece(&handoff.File{FD: int32(fd), Len: 1}).file
		if !o.enqueue(c, queued{n: 1, file: f}) {
			t.Fatal("no memory")
		}
		if unsent := o.queues.unsent(c); unsent != n*(1+limits.FileCostBytes) || o.AllUnsent() != n {
			t.Errorf("%d files count %d, of %d bytes", n, unsent, o.AllUnsent())
		}
	}
	sent := o.queues.shift(c)
	o.freeSegment(&sent)
	if unsent := o.queues.unsent(c); unsent != 2*(1+limits.FileCostBytes) {
		t.Errorf("two files count %d", unsent)
	}
	o.dropQueue(c)
	if o.files != 0 || o.queues.unsent(c) != 0 {
		t.Errorf("%d files are left, which count %d", o.files, o.queues.unsent(c))
	}
}
