// A lull is told once, and only after the app has said something.  per process

package server_test

import (
	"testing"
	"time"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// lulled takes turns for a while and returns how often a lull was told.
func (d *driver) lulled(long time.Duration) (times int) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		flags, err := d.server.Turn(nil, time.Until(end))
		d.must(err)
		if flags&handoff.TurnLull != 0 {
			times++
		}
	}
	return times
}

func TestALullIsToldOnceForEachBurst(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	for range 2 {
		c := d.send(get)
		d.answer(d.expect(handoff.EventRequest), "hello")
		d.receive(c, len(answered("hello")))
		if n := d.lulled(limits.Lull + limits.Lull/2); n != 1 {
			t.Errorf("told %d times", n)
		}
	}
	d.sleeps(limits.Lull / 2)
}

func TestAServerThatWasNeverAskedHasNoLull(t *testing.T) {
	t.Parallel()
	open(t, server.Config{}).sleeps(limits.Lull + limits.Lull/2)
}

// After connections came and went there is one more, which ends what was touched when their records were given back.
func TestALullAfterIdleRelease(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	d.must(d.client().Close())
	if n := d.lulled(limits.IdleRelease + limits.Lull + limits.Lull/2); n != 1 {
		t.Errorf("told %d times", n)
	}
	d.sleeps(limits.Lull / 2)
}
