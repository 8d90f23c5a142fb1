// Quiet periods: after a short one pages of code are dropped (TurnRest), after a long one Python cleans up (TurnLull).

package server

import (
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// quiet is when each quiet period is reached; zero: not pending.
type quiet struct {
	rest, lull time.Time
	rested     time.Time // when the last of either was reached
}

// afterCommands restarts both quiet periods after a turn in which the app has sent commands.
func (q *quiet) afterCommands(now time.Time) {
	q.lull = now.Add(limits.Lull)
	q.rest = later(now.Add(limits.Rest), q.rested.Add(limits.RestInterval))
}

// afterWork starts the short quiet period, if none is pending, after a turn of work without the app, such as one of many deadlines.
func (q *quiet) afterWork(now time.Time) {
	if q.rest.IsZero() && q.lull.IsZero() {
		q.rest = later(now.Add(limits.Rest), q.rested.Add(limits.IdleRelease))
	}
}

// afterLargeRelease restarts the long quiet period, with the length of the short one: when it last ended, Python may have skipped
// work that takes longer the larger the process is.
func (q *quiet) afterLargeRelease(now time.Time) {
	if q.lull.IsZero() {
		q.rest, q.lull = time.Time{}, now.Add(limits.Rest)
	}
}

// reached is TurnRest or TurnLull, once each, when that quiet period is reached; else 0.
func (q *quiet) reached(now time.Time) (flag uint32) {
	switch {
	case !q.lull.IsZero() && !now.Before(q.lull):
		*q = quiet{rested: now}
		return handoff.TurnLull
	case !q.rest.IsZero() && !now.Before(q.rest):
		q.rest, q.rested = time.Time{}, now
		return handoff.TurnRest
	}
	return 0
}

// due is when the next quiet period is reached; ok is false if none is pending.
func (q *quiet) due() (at time.Time, ok bool) {
	switch {
	case q.rest.IsZero():
		at = q.lull
	case q.lull.IsZero() || q.rest.Before(q.lull):
		at = q.rest
	default:
		at = q.lull
	}
	return at, !at.IsZero()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// drop drops pages of files from memory. The wait brings the pages that it runs back at once, so drop runs right before it.
func drop(code []handoff.Range) {
	for _, r := range code {
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, r.Start, r.End-r.Start, unix.MADV_DONTNEED)
	}
}
