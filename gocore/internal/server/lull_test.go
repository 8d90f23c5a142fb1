// A lull is told once, and only after the app has said something.  per process

package server_test

import (
	"testing"
	"time"

	"saltare/gocore/internal/conn"
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
		if n := d.lulled(limits.LullInterval + limits.Lull/2); n != 1 {
			t.Errorf("told %d times", n)
		}
	}
	d.sleeps(limits.Lull / 2)
}

// An app that is asked something again soon after each is not cleaned up each time.
func TestLullsKeepTheirInterval(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	c := d.client()
	times := 0
	for end := time.Now().Add(limits.LullInterval - limits.Lull/2); time.Now().Before(end); {
		d.write(c, get)
		d.answer(d.expect(handoff.EventRequest), "hello")
		d.receive(c, len(answered("hello")))
		times += d.lulled(limits.Lull + limits.Tick)
	}
	if times != 1 {
		t.Errorf("told %d times", times)
	}
}

func TestAServerThatWasNeverAskedHasNoLull(t *testing.T) {
	t.Parallel()
	open(t, server.Config{}).sleeps(limits.LullInterval)
}

// The time for the head is over when the connection has long been idle: nobody wakes for it, or there were a lull more.
func TestDeadlinesThatMovedAwayDoNotEndASleep(t *testing.T) {
	t.Parallel()
	const header = limits.Lull + limits.Lull/2
	d := open(t, server.Config{Conn: conn.Config{HeaderTimeout: conn.Ticks(uint32(header / time.Millisecond))}})
	c := d.send(get)
	d.answer(d.expect(handoff.EventRequest), "hello")
	d.receive(c, len(answered("hello")))
	if n := d.lulled(header + limits.LullInterval + limits.Lull); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestALullAfterADeadline(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{Conn: conn.Config{HeaderTimeout: conn.Ticks(100)}})
	d.client()
	if n := d.lulled(limits.Lull + limits.Lull/2); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// After connections came and went there is one more, which ends what was touched when their records were given back.
func TestALullAfterIdleRelease(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{})
	d.must(d.client().Close())
	if n := d.lulled(limits.IdleRelease + limits.LullInterval); n != 1 {
		t.Errorf("told %d times", n)
	}
	d.sleeps(limits.Lull / 2)
}
