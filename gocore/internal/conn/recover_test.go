// What a panic leaves to be done.  per panic

package conn

import "testing"

// A step that panicked too often is given up in the middle; what it had taken over is done in the next turn, without a wait.
func TestWhatIsLeftOfAStepIsWaitedFor(t *testing.T) {
	h := openHost(t)
	h.retry.Append(0)
	if !h.Waiting() {
		t.Error("a turn would wait although a connection is still to be taken up")
	}
	h.resumed++
	if h.Waiting() {
		t.Error("a turn would not wait although nothing is left")
	}
}
