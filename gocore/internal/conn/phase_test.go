// The phases: which may follow which, and what logs call them.  per process

package conn

import (
	"slices"
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

// steps says again, by hand, what may follow each phase besides Closed.
var steps = map[Phase][]Phase{
	Closed: {Head},
	Head:   {Head, Busy, Flush, Linger},
	Busy:   {Flush, Idle, Linger},
	Flush:  {Busy, Idle, Linger},
	Idle:   {Head, Busy, Flush},
	Linger: {},
}

// stageSteps says the same of stages.
var stageSteps = map[Stage][]Stage{
	Over:    {Body, Answer},
	Body:    {Answer, Discard},
	Answer:  {Open},
	Discard: {},
	Open:    {Closing},
	Closing: {},
}

func allows(from, to Phase) (ok bool) {
	defer func() { ok = recover() == nil }()
	h := &Host{now: 7}
	c := &Conn{phase: from}
	h.enter(c, to)
	return c.phase == to && c.since == 7
}

func allowsStage(from, to Stage) (ok bool) {
	defer func() { ok = recover() == nil }()
	h := &Host{now: 7}
	c, s := &Conn{}, &Stream{stage: from}
	h.enterStage(c, s, to)
	return s.stage == to && c.since == 7
}

func TestEveryStep(t *testing.T) {
	for from := range phases {
		for to := range phases {
			if got, want := allows(from, to), to == Closed || slices.Contains(steps[from], to); got != want {
				t.Errorf("from %q to %q: %v", from, to, got)
			}
		}
	}
	for from := range stages {
		for to := range stages {
			if got, want := allowsStage(from, to), slices.Contains(stageSteps[from], to); got != want {
				t.Errorf("from %q to %q: %v", from, to, got)
			}
		}
	}
}

func TestAnIllegalStepSaysWhichOne(t *testing.T) {
	for want, step := range map[string]func(){
		"conn: from lingering after the last answer to idle":           func() { (&Host{}).enter(&Conn{phase: Linger}, Idle) },
		"conn: from closing the WebSocket to reading the request body": func() { (&Stream{stage: Closing}).enter(Body) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panicked with %v, not %q", got, want)
				}
			}()
			step()
		}()
	}
}

func TestEveryPhaseHasWordsOfItsOwn(t *testing.T) {
	var all []string
	for p := range phases {
		all = append(all, p.String())
	}
	for s := range stages {
		all = append(all, s.String())
	}
	for e := range endings {
		all = append(all, e.String())
	}
	seen := map[string]bool{}
	for i, words := range all {
		if seen[words] || words == "" {
			t.Errorf("number %d is called %q", i, words)
		}
		seen[words] = true
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
