// Quiet periods: after a short one pages of code are dropped (TurnRest), after a longer one Python cleans up (TurnLull).

package server

import (
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// quiet is when each is reached; zero: not at all.
type quiet struct {
	rest, lull time.Time
	rested     time.Time // when the last of either was reached
}

// afterCommands begins both anew behind a turn in which the app has sent commands.
func (q *quiet) afterCommands(now time.Time) {
	q.lull = now.Add(limits.Lull)
	q.rest = later(now.Add(limits.Rest), q.rested.Add(limits.RestInterval))
}

// afterWork begins the short one behind a turn that was about connections alone, as thousands of deadlines may be, one after the other.
func (q *quiet) afterWork(now time.Time) {
	if q.rest.IsZero() && q.lull.IsZero() {
		q.rest = later(now.Add(limits.Rest), q.rested.Add(limits.IdleRelease))
	}
}

// afterLargeRelease begins both anew, the long one as short as the other: in the last one, Python may have left undone what takes the
// longer, the larger the process is.
func (q *quiet) afterLargeRelease(now time.Time) {
	if q.lull.IsZero() {
		q.rest, q.lull = time.Time{}, now.Add(limits.Rest)
	}
}

// reached is TurnRest or TurnLull, once for each, when that has come; else 0.
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

// due is when the next of them is reached; ok is false when none is.
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

// drop takes pages of files out of memory. What the wait itself runs comes back at once, so it is the last thing before.
func drop(code []handoff.Range) {
	for _, r := range code {
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, r.Start, r.End-r.Start, unix.MADV_DONTNEED)
	}
}
