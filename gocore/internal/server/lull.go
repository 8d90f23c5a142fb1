// A while in which nothing happens.  per turn

package server

import (
	"time"

	"saltare/gocore/internal/limits"
)

// lull is when it begins.
type lull struct {
	spoken bool      // since the last one
	at     time.Time // of the last word
}

// speaks takes note of a turn in which the app has said something, or much was cleaned up.
func (l *lull) speaks(now time.Time) { l.spoken, l.at = true, now }

// begins tells, once, that it is so far.
func (l *lull) begins(now time.Time) bool {
	due, ok := l.due()
	if !ok || now.Before(due) {
		return false
	}
	l.spoken = false
	return true
}

// due is when that will be; ok is false when there is nothing to wait for.
func (l *lull) due() (at time.Time, ok bool) { return l.at.Add(limits.Lull), l.spoken }
