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
	last   time.Time // when the last one began
}

// speaks takes note of a turn in which the app has said something, or much was cleaned up.
func (l *lull) speaks(now time.Time) { l.spoken, l.at = true, now }

// stirs takes note of a turn in which little happened. It does not put off a lull that is to come.
func (l *lull) stirs(now time.Time) {
	if !l.spoken {
		l.speaks(now)
	}
}

// begins tells, once, that it is so far.
func (l *lull) begins(now time.Time) bool {
	due, ok := l.due()
	if !ok || now.Before(due) {
		return false
	}
	l.spoken, l.last = false, now
	return true
}

// due is when that will be; ok is false when there is nothing to wait for.
func (l *lull) due() (at time.Time, ok bool) {
	at = l.at.Add(limits.Lull)
	if next := l.last.Add(limits.LullInterval); at.Before(next) {
		at = next
	}
	return at, l.spoken
}
