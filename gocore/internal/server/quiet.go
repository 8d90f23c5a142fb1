// Quiet periods: after a short one pages of code are dropped (TurnPause), after a long one Python cleans up (TurnQuiet).

package server

import (
	"syscall"
	"time"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// quiet is when each quiet period is reached; zero: not pending.
type quiet struct {
	short, long time.Time
	last        time.Time // when the last of either was reached
}

// afterCommands restarts both quiet periods after a turn in which the app has sent commands.
func (q *quiet) afterCommands(now time.Time) {
	q.long = now.Add(limits.Quiet)
	q.short = later(now.Add(limits.Pause), q.last.Add(limits.PauseInterval))
}

// afterWork starts the short quiet period, if none is pending, after a turn of work without the app: many deadlines, or connections
// that have come or gone.
func (q *quiet) afterWork(now time.Time) {
	if q.short.IsZero() && q.long.IsZero() {
		q.short = later(now.Add(limits.Pause), q.last.Add(limits.IdleRelease))
	}
}

// afterLargeRelease restarts the long quiet period, with the length of the short one: when it last ended, Python may have skipped
// work that takes longer the larger the process is.
func (q *quiet) afterLargeRelease(now time.Time) {
	if q.long.IsZero() {
		q.short, q.long = time.Time{}, now.Add(limits.Pause)
	}
}

// reached is TurnPause or TurnQuiet, once each, when that quiet period is reached; else 0.
func (q *quiet) reached(now time.Time) (flag uint32) {
	switch {
	case !q.long.IsZero() && !now.Before(q.long):
		*q = quiet{last: now}
		return handoff.TurnQuiet
	case !q.short.IsZero() && !now.Before(q.short):
		q.short, q.last = time.Time{}, now
		return handoff.TurnPause
	}
	return 0
}

// due is when the next quiet period is reached; ok is false if none is pending.
func (q *quiet) due() (at time.Time, ok bool) {
	switch {
	case q.short.IsZero():
		at = q.long
	case q.long.IsZero() || q.short.Before(q.long):
		at = q.short
	default:
		at = q.long
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
		_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, r.Start, r.End-r.Start, syscall.MADV_DONTNEED)
	}
}
