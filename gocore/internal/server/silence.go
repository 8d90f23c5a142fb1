// A while in which nothing happens: first a rest, in which pages of code go, then a lull, in which Python cleans up.

package server

import (
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// silence is when each comes; zero: not at all.
type silence struct {
	rest, lull time.Time
	rested     time.Time // when the last of either began
}

// speaks takes note of a turn in which the app has said something.
func (s *silence) speaks(now time.Time) {
	s.lull = now.Add(limits.Lull)
	s.rest = later(now.Add(limits.Rest), s.rested.Add(limits.RestInterval))
}

// stirs takes note of a turn that had to do with connections alone, as thousands of deadlines may have one after the other.
func (s *silence) stirs(now time.Time) {
	if s.rest.IsZero() && s.lull.IsZero() {
		s.rest = later(now.Add(limits.Rest), s.rested.Add(limits.IdleRelease))
	}
}

// reached tells, once for each, that it is so far: TurnRest, TurnLull or 0.
func (s *silence) reached(now time.Time) (flag uint32) {
	switch {
	case !s.lull.IsZero() && !now.Before(s.lull):
		*s = silence{rested: now}
		return handoff.TurnLull
	case !s.rest.IsZero() && !now.Before(s.rest):
		s.rest, s.rested = time.Time{}, now
		return handoff.TurnRest
	}
	return 0
}

// due is when the next of them comes; ok is false when none does.
func (s *silence) due() (at time.Time, ok bool) {
	switch {
	case s.rest.IsZero():
		at = s.lull
	case s.lull.IsZero() || s.rest.Before(s.lull):
		at = s.rest
	default:
		at = s.lull
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
