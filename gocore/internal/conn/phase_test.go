// The phases: which may follow which, and what logs call them.  per process

package conn

import (
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

// steps says again, by hand, what may follow each phase besides Closed.
var steps = map[Phase][]Phase{
	Closed:  {Head},
	Head:    {Head, Body, Answer, Flush, Linger},
	Body:    {Answer, Flush, Discard, Linger},
	Answer:  {Flush, Idle, Linger, Open},
	Flush:   {Discard, Idle, Linger},
	Discard: {Idle, Linger, Flush},
	Idle:    {Head, Body, Answer, Flush},
	Open:    {Closing, Flush},
	Closing: {Flush},
	Linger:  {},
}

func allows(from, to Phase) (ok bool) {
	defer func() { ok = recover() == nil }()
	h := &Host{now: 7}
	c := &Conn{phase: from}
	h.enter(c, to)
	return c.phase == to && c.since == 7
}

func TestEveryStep(t *testing.T) {
	for from := range phases {
		may := map[Phase]bool{Closed: true}
		for _, to := range steps[from] {
			may[to] = true
		}
		for to := range phases {
			if got := allows(from, to); got != may[to] {
				t.Errorf("from %q to %q: %v", from, to, got)
			}
		}
	}
}

func TestAnIllegalStepSaysWhichOne(t *testing.T) {
	defer func() {
		if got, want := recover(), "conn: from lingering after the last answer to idle"; got != want {
			t.Errorf("panicked with %v, not %q", got, want)
		}
	}()
	(&Host{}).enter(&Conn{phase: Linger}, Idle)
}

func TestEveryPhaseHasWordsOfItsOwn(t *testing.T) {
	words := map[string]Phase{}
	for p := range phases {
		if other, taken := words[p.String()]; taken || p.String() == "" {
			t.Errorf("phases %d and %d are both called %q", p, other, p)
		}
		words[p.String()] = p
	}
}

func TestSizesOfRecords(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > limits.ConnBytes {
		t.Errorf("an idle connection takes %d bytes, the budget is %d", size, limits.ConnBytes)
	}
	if size := unsafe.Sizeof(Stream{}); size > limits.StreamBytes {
		t.Errorf("a request in the app's hands takes %d bytes, the budget is %d", size, limits.StreamBytes)
	}
}

func TestSizeOfASocket(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > limits.SocketBytes {
		t.Errorf("a WebSocket takes %d bytes more, the budget is %d", size, limits.SocketBytes)
	}
}

func TestTicksRoundUp(t *testing.T) {
	for ms, want := range map[uint32]uint32{0: 0, 1: 1, 16: 1, 17: 2, 1000: 63} {
		if got := Ticks(ms); got != want {
			t.Errorf("%d ms are %d ticks, not %d", ms, got, want)
		}
	}
}

func TestAStaleHandleFindsNothing(t *testing.T) {
	h := &Host{}
	defer h.streams.Close()
	number, s, err := h.streams.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	defer h.conns.Close()
	s.conn, _, _ = h.conns.Alloc()
	if _, found := h.find(uint64(number)); found != nil {
		t.Error("a record that is not in use is found")
	}
	s.serial = 5
	if _, found := h.find(s.handle(number)); found != s {
		t.Error("its own handle does not find it")
	}
	s.serial = 6
	for name, handle := range map[string]uint64{
		"an earlier stream": 5<<32 | uint64(number), "one never handed out": 6<<32 | 99, "nothing": 0, "all ones": 1<<64 - 1,
	} {
		if _, found := h.find(handle); found != nil {
			t.Errorf("the handle of %s finds a stream", name)
		}
	}
	s.complete = true
	if _, found := h.find(s.handle(number)); found != nil {
		t.Error("a stream that is over is found")
	}
}
