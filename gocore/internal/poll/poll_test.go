// epoll as the rest of the core relies on it: tags return unchanged, edges are edges, levels are levels.

package poll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Poll {
	t.Helper()
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func pair(t *testing.T) (ours, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reports polls without waiting and returns what is ready.
func reports(t *testing.T, p *Poll) (all []Ready) {
	t.Helper()
	n, err := p.Wait(0)
	must(t, err)
	for i := range n {
		all = append(all, p.Ready(i))
	}
	return all
}

func TestTags(t *testing.T) {
	for _, owner := range []uint32{Connection, Listener, Application, Server} {
		for _, number := range []uint32{0, 1, 1<<32 - 1} {
			for _, serial := range []uint32{0, 1, 1<<30 - 1} {
				tag := NewTag(owner, serial, number)
				if tag.Owner() != owner || tag.Number() != number || !tag.Is(serial) || tag.Is(serial+1) {
					t.Errorf("%x is not (%d, %d, %d)", tag, owner, serial, number)
				}
			}
		}
	}
	if tag := NewTag(Server, 1<<30+5, 9); tag.Owner() != Server || !tag.Is(5) || tag.Number() != 9 {
		t.Error("a serial beyond 30 bits spoils the tag")
	}
}

func TestATagComesBackWhole(t *testing.T) {
	p := open(t)
	ours, _ := pair(t)
	tag := NewTag(Server, 1<<30-2, 1<<32-3)
	must(t, p.AddLevel(ours, Out, tag))
	if all := reports(t, p); len(all) != 1 || all[0].Tag != tag || all[0].Bits != Out {
		t.Errorf("got %+v", all)
	}
}

func TestAnEdgeIsReportedOnce(t *testing.T) {
	p := open(t)
	ours, theirs := pair(t)
	must(t, p.AddEdge(ours, NewTag(Connection, 1, 2)))
	if all := reports(t, p); len(all) != 1 || all[0].Bits != Out {
		t.Errorf("a new connection: %+v", all)
	}
	for range 2 { // each arrival is an edge, though nothing was read
		_, err := unix.Write(theirs, []byte("x"))
		must(t, err)
		if all := reports(t, p); len(all) != 1 || all[0].Bits&In == 0 {
			t.Errorf("after bytes came: %+v", all)
		}
		if all := reports(t, p); len(all) != 0 {
			t.Errorf("reported again: %+v", all)
		}
	}
	must(t, unix.Shutdown(theirs, unix.SHUT_WR))
	if all := reports(t, p); len(all) != 1 || all[0].Bits&HalfClose == 0 {
		t.Errorf("after the peer's end: %+v", all)
	}
}

func TestALevelIsReportedUntilItIsGone(t *testing.T) {
	p := open(t)
	ours, theirs := pair(t)
	must(t, p.AddLevel(ours, In, NewTag(Application, 0, 7)))
	_, err := unix.Write(theirs, []byte("x"))
	must(t, err)
	for range 3 {
		if all := reports(t, p); len(all) != 1 || all[0].Bits != In {
			t.Errorf("while bytes wait: %+v", all)
		}
	}
	_, err = unix.Read(ours, make([]byte, 1))
	must(t, err)
	if all := reports(t, p); len(all) != 0 {
		t.Errorf("after they were read: %+v", all)
	}
}

func TestSetAddsChangesAndRemoves(t *testing.T) {
	p := open(t)
	ours, _ := pair(t)
	tag := NewTag(Application, 0, uint32(ours))
	for _, step := range []struct {
		bits uint32
		want int
	}{{In, 0}, {Out, 1}, {In | Out, 1}, {0, 0}, {Out, 1}} {
		must(t, p.Set(ours, step.bits, tag))
		if all := reports(t, p); len(all) != step.want {
			t.Errorf("watched for %#x: %+v", step.bits, all)
		}
	}
	must(t, p.Remove(ours))
	if err := p.Set(ours, 0, tag); err != unix.ENOENT {
		t.Errorf("removed twice: %v", err)
	}
	if err := p.Set(1<<20, In, tag); err != unix.EBADF {
		t.Errorf("no descriptor: %v", err)
	}
}

func TestWaitEndsByItself(t *testing.T) {
	p := open(t)
	before := time.Now()
	if n, err := p.Wait(20); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if waited := time.Since(before); waited < 19*time.Millisecond {
		t.Errorf("waited %v of 20 ms", waited)
	}
}
