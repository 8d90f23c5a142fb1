// The phases: which may follow which, and their names in logs.

package transport

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

// steps repeats, by hand, which phases may follow each phase besides Closed.
var steps = map[Phase][]Phase{
	Closed:    {Head, Handshake},
	Head:      {Head, Busy, Flush, Handshake, Linger},
	Busy:      {Flush, Idle, Linger},
	Flush:     {Busy, Idle, Linger},
	Idle:      {Head, Busy, Flush},
	Handshake: {Head, Linger},
	Linger:    {},
}

func allows(from, to Phase) (ok bool) {
	defer func() { ok = recover() == nil }()
	l := &Loop{}
	l.Clock.Now = 7
	c := &Conn{phase: from}
	l.Enter(c, to)
	return c.phase == to && c.Since == 7
}

func TestEveryStep(t *testing.T) {
	for from := range phases {
		for to := range phases {
			if got, want := allows(from, to), to == Closed || slices.Contains(steps[from], to); got != want {
				t.Errorf("from %q to %q: %v", from, to, got)
			}
		}
	}
}

func TestAnIllegalStepSaysWhichOne(t *testing.T) {
	defer func() {
		if got, want := recover(), "transport: from lingering after the last response to idle"; got != want {
			t.Errorf("panicked with %v, not %q", got, want)
		}
	}()
	(&Loop{}).Enter(&Conn{phase: Linger}, Idle)
}

func TestEveryPhaseHasWordsOfItsOwn(t *testing.T) {
	var all []string
	for p := range phases {
		all = append(all, p.String())
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

func TestSizeOfAConnection(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > limits.ConnBytes {
		t.Errorf("an idle connection takes %d bytes, the budget is %d", size, limits.ConnBytes)
	}
}

// Code that assigns a phase without Enter bypasses the table.
func TestOnlyEnterAssignsAPhase(t *testing.T) {
	assigns := regexp.MustCompile(`\.(phase|stage) = `)
	for pattern, where := range map[string]string{"*.go": "phase.go", "../exchange/*.go": "../exchange/stage.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if file == where {
				want = 1
			}
			if n := len(assigns.FindAll(text, -1)); n != want && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s assigns one in %d places", file, n)
			}
		}
	}
}
