package counters

import (
	"testing"
	"time"

	"saltare/gocore/internal/limits"
)

// alone is a table of one worker with figures.
func alone(t *testing.T) *Table {
	t.Helper()
	table, err := Alone()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

func TestATableWithoutFiguresHasNone(t *testing.T) {
	workers, _ := open(t, 2)
	if workers[0].Figures() != nil {
		t.Error("there are figures that nobody has asked for")
	}
}

func TestSumsAreAboutAllSlots(t *testing.T) {
	table := alone(t)
	f := table.Figures()
	f.Requests[Method([]byte("POST"))] = 3
	f.MessagesOut, f.Stalls, f.Now.Number = 5, 7, 9
	var sum Figures
	table.Sum(&sum)
	if sum.Requests[2] != 3 || sum.MessagesOut != 5 || sum.Stalls != 7 || sum.Now.Number != 0 {
		t.Errorf("%+v", sum)
	}
}

func TestMethods(t *testing.T) {
	for method, want := range map[string]string{"GET": "GET", "get": "other", "PURGE": "other", "OPTIONS": "OPTIONS", "": "other"} {
		if got := MethodNames[Method([]byte(method))]; got != want {
			t.Errorf("%q counts as %s, not %s", method, got, want)
		}
	}
}

func TestBucketsIncludeTheirBounds(t *testing.T) {
	var h Histogram
	for _, ns := range []int64{-1, 0, 10, 11, 20, 21, 1 << 40} {
		h.Add([]int64{10, 20}, ns)
	}
	if h.Buckets[0] != 3 || h.Buckets[1] != 2 || h.Buckets[2] != 2 {
		t.Errorf("%v", h.Buckets[:3])
	}
	if h.Nanoseconds != 10+11+20+21+1<<40 {
		t.Errorf("the sum is %d", h.Nanoseconds)
	}
}

// The longest turn is reported until the end of the next window, whether or not there were others.
func TestTheLongestTurnIsForgotten(t *testing.T) {
	window := limits.StallWindow.Milliseconds()
	for _, later := range []bool{false, true} {
		var f Figures
		at := 1000*window + 5
		f.Turn(int64(time.Second), at)
		if later {
			f.Turn(1000, at+window)
		}
		for after, want := range map[int64]uint64{0: 1e9, window: 1e9, 3 * window: 0} {
			if got := f.Now.LongestAt(at + after); got != want && !(later && after == 0) {
				t.Errorf("%d ms later it is %d, not %d", after, got, want)
			}
		}
		if f.Stalls != 1 {
			t.Errorf("%d stalls", f.Stalls)
		}
	}
}

func TestTurnsOfNoLengthAreNone(t *testing.T) {
	var f Figures
	f.Turn(-5, 1)
	f.Turn(0, 1)
	if f != (Figures{}) {
		t.Errorf("%+v", f)
	}
}
