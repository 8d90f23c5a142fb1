// Streams by themselves, with a protocol that only records what reaches it: stages, handles, events for the app.

package exchange

import (
	"slices"
	"testing"
	"time"
	"unsafe"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/pair"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/transport"
)

// notes is a protocol that records the commands that reach it.
type notes struct {
	streams  *Streams
	commands []uint16
}

func (n *notes) Readable(*transport.Conn) {}
func (n *notes) Command(_ *transport.Conn, k *handoff.Command, _ []byte) {
	n.commands = append(n.commands, k.Kind)
}
func (n *notes) Deadline(*transport.Conn) uint32 { return 0 }
func (n *notes) Expire(*transport.Conn)          {}
func (n *notes) Drain(*transport.Conn)           {}
func (n *notes) Doing(*transport.Conn) string    { return "noting" }
func (n *notes) Patient() bool                   { return false }
func (n *notes) Gone(c *transport.Conn) {
	if c.Stream != 0 {
		n.streams.Drop(n.streams.At(c.Stream - 1))
		c.Stream = 0
	}
}

// open makes streams, and one connection that owns them.
func open(t *testing.T) (*Streams, *notes, *transport.Conn) {
	t.Helper()
	set, err := poll.Open()
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := handoff.OpenInbox(limits.DefaultHeadBytes, limits.View(limits.DefaultRequestLineBytes, limits.DefaultFields))
	if err != nil {
		t.Fatal(err)
	}
	x, loop, lines := &Streams{}, &transport.Loop{}, &journal.Journal{}
	n := &notes{streams: x}
	lines.Open(inbox, true)
	loop.Open(config.Config{MaxRequestBody: 1000}, set, inbox, lines, time.Now())
	loop.Add(n)
	x.Open(loop)
	t.Cleanup(func() {
		loop.Abandon()
		if x.Live() != 0 {
			t.Errorf("%d streams are left", x.Live())
		}
		x.Close()
		loop.Close()
		inbox.Close()
		set.Close()
	})
	return x, n, connect(t, loop)
}

func connect(t *testing.T, loop *transport.Loop) *transport.Conn {
	t.Helper()
	fd, _ := pair.Waiting(t)
	loop.Accept.Listeners = []transport.Listener{{FD: fd}}
	for loop.Connections() == 0 {
		loop.Accept.From(0)
	}
	return loop.Conn(0)
}

func begin(t *testing.T, x *Streams, c *transport.Conn, stage Stage) *Stream {
	t.Helper()
	s, err := x.Begin(c, message.Response{Minor: 1, ContentLength: -1})
	if err != nil {
		t.Fatal(err)
	}
	c.Stream = s.Number() + 1
	x.Enter(c, s, stage)
	x.loop.Enter(c, transport.Busy)
	return s
}

// events takes the events from the inbox.
func events(x *Streams) []handoff.Event {
	ptr, n := x.inbox.Events()
	all := slices.Clone(unsafe.Slice((*handoff.Event)(*(*unsafe.Pointer)(unsafe.Pointer(&ptr))), n))
	x.inbox.Reset()
	return all
}

// follow repeats, by hand, which stages may follow each stage.
var follow = map[Stage][]Stage{
	Over:       {Body, Responding},
	Body:       {Responding, Discard},
	Responding: {Open},
	Discard:    {},
	Open:       {Closing},
	Closing:    {},
}

func TestEveryStage(t *testing.T) {
	for from := range stages {
		for to := range stages {
			allowed := func() (ok bool) {
				defer func() { ok = recover() == nil }()
				s := &Stream{stage: from}
				s.enter(to)
				return s.stage == to
			}()
			if want := slices.Contains(follow[from], to); allowed != want {
				t.Errorf("from %q to %q: %v", from, to, allowed)
			}
		}
	}
}

func TestAnIllegalStageSaysWhichOne(t *testing.T) {
	defer func() {
		if got, want := recover(), "exchange: from closing the websocket to reading the request body"; got != want {
			t.Errorf("panicked with %v, not %q", got, want)
		}
	}()
	(&Stream{stage: Closing}).enter(Body)
}

func TestEveryStageHasWordsOfItsOwn(t *testing.T) {
	words := map[string]Stage{}
	for s := range stages {
		if other, taken := words[s.String()]; taken || s.String() == "" {
			t.Errorf("stages %d and %d are both called %q", s, other, s)
		}
		words[s.String()] = s
	}
}

func TestSizeOfAStream(t *testing.T) {
	if size := unsafe.Sizeof(Stream{}); size > limits.StreamBytes {
		t.Errorf("a request in the app's hands takes %d bytes, the budget is %d", size, limits.StreamBytes)
	}
}

func TestAStaleHandleFindsNothing(t *testing.T) {
	x, n, c := open(t)
	s := begin(t, x, c, Responding)
	handle := s.Handle()
	reaches := func(handle uint64) bool {
		n.commands = nil
		x.Command(&handoff.Command{Kind: handoff.CommandNotify, Stream: handle}, nil)
		return len(n.commands) == 1
	}
	if !reaches(handle) {
		t.Error("its own handle does not find it")
	}
	for name, other := range map[string]uint64{
		"no serial": handle & 0xffffffff, "an earlier stream": handle - 1<<32, "one never handed out": handle + 99, "all ones": 1<<64 - 1,
	} {
		if reaches(other) {
			t.Errorf("the handle of %s finds a stream", name)
		}
	}
	s.Detach()
	if reaches(handle) {
		t.Error("a stream whose app has said its last is found")
	}
}

// Once a connection is marked, no command is carried out for it any more, and memory lent with commands is released.
func TestNoCommandReachesAConnectionThatEnds(t *testing.T) {
	x, n, c := open(t)
	handle := begin(t, x, c, Responding).Handle()
	x.loop.Mark(c, transport.PeerClosed)
	ref := handoff.BodyRef{Token: 7}
	payload := unsafe.Slice((*byte)(unsafe.Pointer(&ref)), unsafe.Sizeof(ref))
	x.Command(&handoff.Command{Kind: handoff.CommandBodyRef, Stream: handle, Len: uint64(len(payload))}, payload)
	if got := events(x); len(n.commands) != 0 || len(got) != 1 || got[0].Kind != handoff.EventRelease || got[0].Stream != 7 {
		t.Errorf("%v reached it; %+v", n.commands, got)
	}
	if x.loop.Connections() != 1 {
		t.Error("it is closed already")
	}
	x.loop.WorkOff()
	if got := kinds(events(x)); x.loop.Connections() != 0 || !slices.Contains(got, handoff.EventDisconnect) {
		t.Errorf("%d connections, events %v", x.loop.Connections(), got)
	}
}

func kinds(all []handoff.Event) (of []uint32) {
	for _, e := range all {
		of = append(of, e.Kind)
	}
	return of
}

func TestWhatIsDoneWithPiecesOfABody(t *testing.T) {
	for name, c := range map[string]struct {
		mode   message.BodyMode
		length int64
		given  []int
		want   []Verdict
		little bool
	}{
		"as declared":     {message.BodyLength, 10, []int{4, 0, 6}, []Verdict{Send, Swallow, Send}, false},
		"less":            {message.BodyLength, 10, []int{4}, []Verdict{Send}, true},
		"more":            {message.BodyLength, 10, []int{4, 7}, []Verdict{Send, TooMuch}, true},
		"none":            {message.BodyNone, 10, []int{4, 70}, []Verdict{Swallow, Swallow}, false},
		"without length":  {message.BodyChunked, -1, []int{4, 0, 70}, []Verdict{Send, Swallow, Send}, false},
		"until the close": {message.BodyUntilClose, -1, []int{4}, []Verdict{Send}, false},
	} {
		s := &Stream{Started: true, Response: message.Response{Mode: c.mode, ContentLength: c.length}}
		for i, n := range c.given {
			if got := s.Give(n); got != c.want[i] {
				t.Errorf("%s: piece %d: %d, not %d", name, i, got, c.want[i])
			}
		}
		if s.IsShort() != c.little {
			t.Errorf("%s: too little: %v", name, !c.little)
		}
	}
	if (&Stream{Response: message.Response{Mode: message.BodyChunked}}).Give(1) != Swallow {
		t.Error("a piece ahead of the head is sent")
	}
}

func TestReadingPausesWhileTheAppHasEnough(t *testing.T) {
	s := &Stream{}
	s.CountPiece(nil)
	if s.Unread() != 0 {
		t.Error("nothing counts something")
	}
	s.CountPiece(make([]byte, limits.UnreadBytes-limits.PieceCostBytes))
	if !s.Paused() {
		t.Fatal("it goes on")
	}
	if resumes, reads := s.Consumed(1); !resumes || !reads {
		t.Error("a byte less, and it does not go on")
	}
	if resumes, reads := s.Consumed(1 << 31); resumes || !reads || s.Unread() != 0 {
		t.Errorf("more than there was: %v, %v, %d are left", resumes, reads, s.Unread())
	}
}

func TestTheAppIsToldOnce(t *testing.T) {
	x, _, c := open(t)
	s := begin(t, x, c, Responding)
	x.Notify(c, s)
	for range 2 {
		x.NotifyDrained(c, s)
		x.HalfClosed(s)
	}
	if got, want := kinds(events(x)), []uint32{handoff.EventDrained, handoff.EventHalfClose}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	s.Detach()
	x.Drop(s)
	c.Stream = 0
	if got := events(x); len(got) != 0 {
		t.Errorf("after its last: %+v", got)
	}
}

func TestTheLimitOfABody(t *testing.T) {
	x, _, c := open(t)
	s := begin(t, x, c, Body)
	s.Expecting = true
	s.CountReceived(0)
	if !s.Expecting {
		t.Error("nothing has come, and the peer does not wait any more")
	}
	s.CountReceived(1000)
	if s.Expecting || x.Oversized(s) {
		t.Errorf("at the limit: expecting %v, oversized %v", s.Expecting, x.Oversized(s))
	}
	if s.CountReceived(1); !x.Oversized(s) {
		t.Error("over the limit, and not oversized")
	}
}
