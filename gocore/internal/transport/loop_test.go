// A loop without a server: what is marked, what is ready, and that writing continues without a stream.

package transport

import (
	"net"
	"slices"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pair"
	"saltare/gocore/internal/poll"
)

func openLoop(t *testing.T) *Loop { return openLoopWith(t, config.Config{}) }

func openLoopWith(t *testing.T, c config.Config) *Loop {
	t.Helper()
	set, err := poll.Open()
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := handoff.OpenInbox(limits.DefaultHeadBytes, limits.View(limits.DefaultRequestLineBytes, limits.DefaultFields))
	if err != nil {
		t.Fatal(err)
	}
	l, lines := &Loop{}, &journal.Journal{}
	lines.Open(inbox, c.Debug)
	l.Open(c, set, inbox, lines, time.Now())
	t.Cleanup(func() {
		l.Abandon()
		l.Close()
		inbox.Close()
		set.Close()
	})
	return l
}

// notes is a protocol that records which of its functions are called for which connection.
type notes struct {
	called   []string
	readable func(c *Conn)
}

func (n *notes) Readable(c *Conn) {
	n.called = append(n.called, "readable")
	if n.readable != nil {
		n.readable(c)
	}
}
func (n *notes) Command(*Conn, *handoff.Command, []byte) {}
func (n *notes) Deadline(*Conn) uint32                   { return 0 }
func (n *notes) Expire(*Conn)                            { n.called = append(n.called, "expire") }
func (n *notes) Drain(*Conn)                             { n.called = append(n.called, "drain") }
func (n *notes) Gone(*Conn)                              { n.called = append(n.called, "gone") }
func (n *notes) Doing(*Conn) string                      { return "noting" }
func (n *notes) Patient() bool                           { return false }

// openBusy makes a loop with one connection, which is Busy.
func openBusy(t *testing.T) (*Loop, *notes, *Conn, *net.TCPConn) {
	t.Helper()
	l, n := openLoop(t), &notes{}
	l.Add(n)
	fd, peer := pair.Waiting(t)
	l.Accept.Listeners = []Listener{{FD: fd}}
	for l.Connections() == 0 {
		l.Accept.From(0)
	}
	c := l.Conn(0)
	l.Enter(c, Busy)
	return l, n, c, peer
}

func (l *Loop) say(c *Conn, text string) {
	l.Output.Gather(c)
	l.Output.B = append(l.Output.B, text...)
}

func receive(t *testing.T, peer *net.TCPConn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	for filled := 0; filled < len(got); {
		n, err := peer.Read(got[filled:])
		if err != nil {
			t.Fatal(err)
		}
		filled += n
	}
	if string(got) != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestWritingGoesOnWithNoConnection(t *testing.T) {
	l, n, c, peer := openBusy(t)
	l.say(c, "hello")
	l.Output.Flush()
	receive(t, peer, "hello")
	l.Enter(c, Flush)
	l.say(c, ", world")
	l.Output.Flush()
	receive(t, peer, ", world")
	if len(n.called) != 0 {
		t.Fatalf("called: %v", n.called)
	}
	l.WorkOff()
	if !slices.Equal(n.called, []string{"readable"}) {
		t.Errorf("then %v, although the response is complete", n.called)
	}
}

func TestAConnectionIsReadyOnce(t *testing.T) {
	l, n, c, _ := openBusy(t)
	again := 2
	n.readable = func(c *Conn) {
		if again > 0 { // a connection that marks itself ready continues in the same turn
			again--
			l.PutReady(c)
			l.PutReady(c)
		}
	}
	l.PutReady(c)
	l.PutReady(c)
	l.WorkOff()
	if len(n.called) != 3 || l.Waiting() {
		t.Errorf("called: %v; waiting %v", n.called, l.Waiting())
	}
}

// The code that marks a connection may still be working on it: it is closed afterwards.
func TestWhatIsMarkedIsClosedLater(t *testing.T) {
	l, n, c, peer := openBusy(t)
	l.say(c, "the last")
	l.Mark(c, Responded)
	l.Mark(c, PeerReset)
	if c.Phase() != Busy || c.ending != Responded || !c.Ends() || len(n.called) != 0 {
		t.Fatalf("phase %v, %v; called: %v", c.Phase(), c.ending, n.called)
	}
	l.WorkOff()
	receive(t, peer, "the last")
	if l.Connections() != 0 || c.Phase() != Closed || n.called[len(n.called)-1] != "gone" {
		t.Errorf("%d connections, called: %v", l.Connections(), n.called)
	}
}

func TestAWriteThatFailsMarks(t *testing.T) {
	l, n, c, peer := openBusy(t)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	for !c.Ends() { // the reset is on its way
		l.say(c, "to nobody")
		l.Output.Flush()
	}
	if c.Phase() != Busy || c.ending != PeerClosed || len(n.called) != 0 {
		t.Errorf("phase %v, %v; called: %v", c.Phase(), c.ending, n.called)
	}
	l.WorkOff()
	if l.Connections() != 0 {
		t.Error("it stays open")
	}
}

// The number of a closed connection may still be in a list when another connection has it.
func TestAStaleNumberIsNotReady(t *testing.T) {
	l, n, c, _ := openBusy(t)
	l.PutReady(c)
	l.PutOff(c)
	l.close(c)
	number, other, err := l.conns.Alloc()
	if err != nil || number != 0 || other != c {
		t.Fatal(number, err)
	}
	other.fd = -1
	l.Enter(other, Head)
	n.called = nil
	l.WorkOff()
	l.Resume()
	l.Resume()
	if len(n.called) != 0 {
		t.Errorf("called: %v", n.called)
	}
}

func TestBytesThatWaitForTheirRest(t *testing.T) {
	l, _, c, _ := openBusy(t)
	if !l.Input.ParkBeginning(c, []byte("abc")) || c.Held() != 3 || c.Scanned != 3 || l.Buffers() != 1 {
		t.Fatalf("%d held, %d known, %d buffers", c.Held(), c.Scanned, l.Buffers())
	}
	if _, _, ok := l.Input.Take(c); ok {
		t.Error("there is something new among it")
	}
	if !l.Input.Park(c, []byte("defg")) || c.Scanned != 0 {
		t.Fatal("what is parked is known already")
	}
	if buf, fresh, ok := l.Input.Take(c); !ok || fresh || string(buf) != "defg" {
		t.Errorf("%q, fresh %v, %v", buf, fresh, ok)
	}
	if l.Input.Park(c, nil); c.Held() != 0 || l.Buffers() != 0 {
		t.Errorf("%d held in %d buffers", c.Held(), l.Buffers())
	}
}
