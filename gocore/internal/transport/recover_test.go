// The work that is left after a panic.

package transport

import "testing"

// A step that panicked too often is abandoned in the middle; the work it had taken over is done in the next turn, without a wait.
func TestWhatIsLeftOfAStepIsWaitedFor(t *testing.T) {
	l := openLoop(t)
	l.turn.retry.Append(0)
	if !l.Waiting() {
		t.Error("a turn would wait although a connection is still to be taken up")
	}
	l.turn.resumed++
	if l.Waiting() {
		t.Error("a turn would not wait although nothing is left")
	}
}
