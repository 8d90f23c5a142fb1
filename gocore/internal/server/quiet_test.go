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

// silent takes turns while the time passes and requires this many reports of rests and lulls.
func (d *driver) silent(long time.Duration, rests, lulls int) {
	d.Helper()
	for ; long > 0; long -= step {
		d.skip(step)
		d.must(d.server.Turn(nil, 0, nil))
		flags := d.server.Flags()
		if flags&handoff.TurnRest != 0 {
			rests--
		}
		if flags&handoff.TurnLull != 0 {
			lulls--
		}
	}
	if rests != 0 || lulls != 0 {
		d.Errorf("%d rests and %d lulls too few", rests, lulls)
	}
}

// asked has the app send one response.
func (d *driver) asked() {
	c := d.send(get)
	d.respond(d.expect(handoff.EventRequest), "hello")
	d.receive(c, len(responseOf("hello")))
}

func TestARestAndALullAreToldOnceForEachBurst(t *testing.T) {
	d := openFrozen(t, server.Config{})
	for range 2 {
		d.asked()
		d.silent(limits.Rest+moment, 1, 0)
		d.silent(limits.Lull-limits.Rest, 0, 1)
		d.silent(limits.RestInterval, 0, 0)
	}
}

// An app that gets requests soon after each rest has rests at intervals, and no clean-up.
func TestRestsKeepTheirInterval(t *testing.T) {
	d := openFrozen(t, server.Config{})
	d.asked()
	d.silent(limits.Rest+moment, 1, 0)
	d.asked()
	d.silent(limits.Rest+moment/2, 0, 0)
	d.asked()
	d.silent(limits.Rest+moment, 1, 0)
}

func TestAServerThatWasNeverAskedSleeps(t *testing.T) {
	d := open(t, server.Config{})
	d.sleeps(step)
	d.skip(limits.Lull + moment)
	d.sleeps(step)
}

// Each of these ends a wait that nothing else would end.
func TestARestAndALullEndAWait(t *testing.T) {
	d := open(t, server.Config{})
	d.asked()
	d.skip(limits.Rest - step)
	d.wakes(handoff.TurnRest)
	d.skip(limits.Lull - limits.Rest - step)
	d.wakes(handoff.TurnLull)
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

func TestARestAfterADeadline(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{HeaderTimeout: config.Ticks(100)}})
	d.client()
	d.silent(limits.Rest+moment, 1, 0)
	d.client()
	d.silent(limits.Lull+moment, 0, 0) // for thousands of them
}

// After connections have come and gone there is one more rest, for the memory touched when their records were released.
func TestARestAfterIdleRelease(t *testing.T) {
	d := openFrozen(t, server.Config{})
	d.must(d.client().Close())
	d.silent(limits.IdleRelease+limits.Rest+moment, 1, 0)
	d.thaw()
	d.sleeps(step)
}

// A release that makes the process much smaller causes another lull: before, it may have been too large for some work.
func TestALullAfterALargeRelease(t *testing.T) {
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
		d.silent(limits.Lull+moment, 1, 1)
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
