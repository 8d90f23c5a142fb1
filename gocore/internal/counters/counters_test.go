package counters

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// made creates what the master creates: an anonymous file with a head and n slots, each with a bell.
func made(t *testing.T, n int) (fd int, bells []int) {
	t.Helper()
	fd, err := unix.MemfdCreate("counters", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "counters")
	t.Cleanup(func() { _ = file.Close() })
	head := binary.NativeEndian.AppendUint32([]byte("SALT"), version)
	head = binary.NativeEndian.AppendUint32(head, uint32(n))
	if err := file.Truncate(int64((n + 1) * limits.SlotBytes)); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(bell) })
		bells = append(bells, bell)
		owned := binary.NativeEndian.AppendUint32(nil, Taken)
		owned = binary.NativeEndian.AppendUint32(owned, 0)
		owned = binary.NativeEndian.AppendUint32(owned, uint32(bell))
		if _, err := file.WriteAt(owned, int64((i+1)*limits.SlotBytes)); err != nil {
			t.Fatal(err)
		}
	}
	return fd, bells
}

// open maps the table n times, as n workers do.
func open(t *testing.T, n int) (workers []*Table, bells []int) {
	t.Helper()
	fd, bells := made(t, n)
	for own := 1; own <= n; own++ {
		table, err := Open(fd, own)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(table.Close)
		workers = append(workers, table)
	}
	return workers, bells
}

func TestLayout(t *testing.T) {
	var s Slot
	for name, at := range map[string][2]uintptr{
		"State":       {unsafe.Offsetof(s.State), 0},
		"PID":         {unsafe.Offsetof(s.PID), 4},
		"Bell":        {unsafe.Offsetof(s.Bell), 8},
		"Connections": {unsafe.Offsetof(s.Connections), 24},
		"Requests":    {unsafe.Offsetof(s.Requests), 40},
		"Accepted":    {unsafe.Offsetof(s.Accepted), 48},
		"Refused":     {unsafe.Offsetof(s.Refused), 56},
	} {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, not at %d", name, at[0], at[1])
		}
	}
	if size := unsafe.Sizeof(s); size != limits.SlotBytes {
		t.Errorf("a slot has %d bytes", size)
	}
}

// The master's half, in Python, must agree: it assigns a slot, this test counts in it, and the master adds up the counts.
func TestTheMastersHalfAgrees(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	fd, bells := made(t, 2)
	table, err := Open(fd, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	table.Own().Requests.Store(1 << 40)
	table.Own().Accepted.Store(7)
	table.Own().Refused.Store(3)
	table.Own().LinesLost.Store(5)
	const program = `
import importlib.util, sys
spec = importlib.util.spec_from_file_location("counters", sys.argv[1] + "/saltare/prefork/counters.py")
counters = importlib.util.module_from_spec(spec)
spec.loader.exec_module(counters)
table = counters.Counters.inherited(3, [int(one) for one in sys.argv[2:]])
print(table.totals(2), table.take())
table.free(2)
print(table.totals(0), table.totals(2), table.take())
`
	command := exec.Command(python, "-c", program, root, strconv.Itoa(bells[0]), strconv.Itoa(bells[1]))
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(copied), "table")
	defer file.Close()
	command.ExtraFiles = []*os.File{file}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	want := "(1099511627776, 7, 3, 5) 0\n(1099511627776, 7, 3, 5) (0, 0, 0, 0) 2\n"
	if said.String() != want {
		t.Errorf("got %q, want %q", &said, want)
	}
	if own := table.Own(); own.State.Load() != Taken || own.Bell.Load() != int32(bells[1]) {
		t.Errorf("after take: state %d, bell %d", own.State.Load(), own.Bell.Load())
	}
}

func TestOpenRefuses(t *testing.T) {
	fd, _ := made(t, 2)
	for _, own := range []int{-1, 0, 3, 1 << 20} {
		if _, err := Open(fd, own); err != unix.EINVAL {
			t.Errorf("slot %d: %v", own, err)
		}
	}
	if _, err := Open(-1, 1); err != unix.EBADF {
		t.Errorf("no descriptor: %v", err)
	}
	for at, wrong := range map[int64]string{0: "PEPP", 4: "\x63\x00\x00\x00"} {
		fd, _ := made(t, 1)
		if _, err := unix.Pwrite(fd, []byte(wrong), at); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(fd, 1); err != unix.EINVAL {
			t.Errorf("%q at %d: %v", wrong, at, err)
		}
	}
}

// state of a worker, as Lighter and Other see it.
type state struct {
	state       uint32
	connections uint64
	waiting     uint32
	turn        int64
}

func set(workers []*Table, states ...state) {
	for i, s := range states {
		own := workers[i].Own()
		own.State.Store(s.state)
		own.Connections.Store(s.connections)
		own.waiting.Store(s.waiting)
		own.turn.Store(s.turn)
	}
}

func TestLighterAndOther(t *testing.T) {
	const now = 1_000_000
	const lately, longAgo = now - limits.AvailableMilliseconds, now - limits.AvailableMilliseconds - 1
	workers, bells := open(t, 3)
	for _, c := range []struct {
		name           string
		states         [3]state // the first is the worker that asks
		lighter, other int      // index of the worker whose bell is returned, 0: none
	}{
		{"alone", [3]state{{Serving, 5, 0, now}}, 0, 0},
		{"equal", [3]state{{Serving, 5, 0, now}, {Serving, 5, 1, now}}, 0, 1},
		{"fewer and waits", [3]state{{Serving, 5, 0, now}, {Serving, 4, 1, longAgo}}, 1, 1},
		{"fewer and lately turned", [3]state{{Serving, 5, 0, now}, {Serving, 4, 0, lately}}, 1, 1},
		{"fewer but busy for long", [3]state{{Serving, 5, 0, now}, {Serving, 4, 0, longAgo}}, 0, 1},
		{"the fewest", [3]state{{Serving, 5, 0, now}, {Serving, 4, 1, now}, {Serving, 3, 1, now}}, 2, 2},
		{"the fewest is busy", [3]state{{Serving, 5, 0, now}, {Serving, 4, 1, now}, {Serving, 3, 0, longAgo}}, 1, 2},
		{"not yet", [3]state{{Serving, 5, 0, now}, {Taken, 0, 1, now}}, 0, 0},
		{"no longer", [3]state{{Serving, 5, 0, now}, {Leaving, 0, 1, now}}, 0, 0},
		{"free", [3]state{{Serving, 5, 0, now}, {Free, 0, 1, now}}, 0, 0},
		{"of a leaver", [3]state{{Leaving, 0, 0, now}, {Serving, 4, 0, longAgo}}, 0, 1},
	} {
		set(workers, c.states[:]...)
		for what, got := range map[string]struct {
			index int
			find  func() (int, bool)
		}{
			"lighter": {c.lighter, func() (int, bool) { return workers[0].Lighter(now) }},
			"other":   {c.other, workers[0].Other},
		} {
			bell, found := got.find()
			if found != (got.index != 0) || found && bell != bells[got.index] {
				t.Errorf("%s: %s is %d, %v; bells %v", c.name, what, bell, found, bells)
			}
		}
		set(workers, make([]state, 3)...)
	}
}

func TestLife(t *testing.T) {
	workers, _ := open(t, 1)
	own := workers[0].Own()
	workers[0].Enter()
	if own.State.Load() != Serving || own.PID.Load() != uint32(os.Getpid()) {
		t.Errorf("serving: %d, pid %d", own.State.Load(), own.PID.Load())
	}
	workers[0].Waits()
	if !own.available(1 << 40) {
		t.Error("one that waits is not available")
	}
	workers[0].Turns(5)
	if own.available(6 + limits.AvailableMilliseconds) {
		t.Error("one whose turn is long is available")
	}
	workers[0].Leave()
	if own.State.Load() != Leaving {
		t.Errorf("leaving: %d", own.State.Load())
	}
}

func TestBells(t *testing.T) {
	workers, bells := open(t, 2)
	readable := func(fd int) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		return err == nil && n == 1
	}
	Ring(bells[1])
	Ring(bells[1])
	if readable(bells[0]) || !readable(bells[1]) {
		t.Error("the wrong bell rings")
	}
	workers[1].ResetBell()
	if readable(bells[1]) {
		t.Error("a bell rings on after its reset")
	}
	workers[1].ResetBell() // without a ring: it does not wait for one
}

// Each worker writes its slot while all workers read all slots.
func TestWorkersAtOnce(t *testing.T) {
	const rounds = 2000
	workers, _ := open(t, 4)
	var all sync.WaitGroup
	for _, table := range workers {
		all.Add(1)
		go func() {
			defer all.Done()
			table.Enter()
			for i := range rounds {
				table.Turns(int64(i))
				table.Own().Connections.Store(uint64(i % 7))
				table.Own().Requests.Add(1)
				table.Lighter(int64(i))
				table.Other()
				table.Waits()
			}
			table.Leave()
		}()
	}
	all.Wait()
	for i, table := range workers {
		if n := table.Own().Requests.Load(); n != rounds {
			t.Errorf("worker %d counted %d", i+1, n)
		}
	}
}
