// Quiet periods are reported once, after commands of the app or deadlines.

package server_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

const moment, step = 500 * time.Millisecond, 50 * time.Millisecond

// silent takes turns while the time passes and requires this many reports of pauses and of quiet periods.
func (d *driver) silent(long time.Duration, pauses, quiets int) {
	d.Helper()
	for ; long > 0; long -= step {
		d.skip(step)
		d.must(d.server.Turn(nil, 0, nil))
		flags := d.server.Flags()
		if flags&handoff.TurnPause != 0 {
			pauses--
		}
		if flags&handoff.TurnQuiet != 0 {
			quiets--
		}
	}
	if pauses != 0 || quiets != 0 {
		d.Errorf("%d pauses and %d quiet periods too few", pauses, quiets)
	}
}

// asked has the app send one response.
func (d *driver) asked() {
	c := d.send(get)
	d.respond(d.expect(handoff.EventRequest), "hello")
	d.receive(c, len(responseOf("hello")))
}

func TestEachQuietPeriodIsReportedOnceForEachBurst(t *testing.T) {
	d := openFrozen(t, server.Config{})
	for range 2 {
		d.asked()
		d.silent(limits.Pause+moment, 1, 0)
		d.silent(limits.Quiet-limits.Pause, 0, 1)
		d.silent(limits.PauseInterval, 0, 0)
	}
}

// An app that gets requests soon after each pause has pauses at intervals, and no cleanup.
func TestPausesKeepTheirInterval(t *testing.T) {
	d := openFrozen(t, server.Config{})
	d.asked()
	d.silent(limits.Pause+moment, 1, 0)
	d.asked()
	d.silent(limits.Pause+moment/2, 0, 0)
	d.asked()
	d.silent(limits.Pause+moment, 1, 0)
}

func TestAServerWithoutRequestsSleeps(t *testing.T) {
	d := open(t, server.Config{})
	d.sleeps(step)
	d.skip(limits.Quiet + moment)
	d.sleeps(step)
}

// Each of these ends a wait that nothing else would end.
func TestQuietPeriodsEndAWait(t *testing.T) {
	d := open(t, server.Config{})
	d.asked()
	d.skip(limits.Pause - step)
	d.wakes(handoff.TurnPause)
	d.skip(limits.Quiet - limits.Pause - step)
	d.wakes(handoff.TurnQuiet)
}

func (d *driver) wakes(want uint32) {
	d.Helper()
	flags := uint32(handoff.TurnInterrupted)
	for flags == handoff.TurnInterrupted {
		d.must(d.server.Turn(nil, hang, nil))
		flags = d.server.Flags()
	}
	if flags&^handoff.TurnInterrupted != want {
		d.Errorf("woke with flags %d, not %d", flags, want)
	}
}

func TestAPauseAfterADeadline(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{HeaderTimeout: config.Ticks(100)}})
	d.client()
	d.silent(limits.Pause+moment, 1, 0)
	d.client()
	d.silent(limits.Quiet+moment, 0, 0) // for thousands of them
}

// There is a pause after connections have come and gone, and one more for the memory touched when their records are released.
func TestAPauseAfterIdleRelease(t *testing.T) {
	d := openFrozen(t, server.Config{})
	d.must(d.client().Close())
	d.silent(limits.Pause+moment, 1, 0)
	d.silent(limits.IdleRelease+limits.Pause+moment, 1, 0)
	d.thaw()
	d.sleeps(step)
}

// A release that makes the process much smaller causes another quiet period: before, it may have been too large for some work.
func TestAQuietPeriodAfterALargeRelease(t *testing.T) {
	for _, large := range []bool{false, true} {
		d := openFrozen(t, server.Config{})
		n := 3
		if large {
			n += limits.ReleaseBytes / (64 << 10)
		}
		head := "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 60_000) // uses a buffer of 64 KiB
		var clients []*net.TCPConn
		for range n {
			clients = append(clients, d.send(head))
		}
		d.until("all of them", func() bool { return d.server.Stats().Buffers == uint64(n) })
		for _, c := range clients {
			d.write(c, "\r\n\r\n")
		}
		for range n {
			d.respond(d.expect(handoff.EventRequest), "hello")
		}
		for _, c := range clients {
			d.receive(c, len(responseOf("hello")))
			d.must(c.Close())
		}
		d.silent(limits.Quiet+moment, 1, 1)
		if large {
			d.silent(limits.IdleRelease, 0, 1)
		} else {
			d.silent(limits.IdleRelease, 1, 0)
		}
		d.silent(limits.IdleRelease, 0, 0)
		d.thaw()
		d.sleeps(step)
	}
}
