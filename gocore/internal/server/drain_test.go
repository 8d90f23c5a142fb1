// Streams of a draining server that may never end.

package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// Streams without a declared length that are silent may be endless. Their apps get a disconnect, others do not.
func TestDrainEndsSilentStreams(t *testing.T) {
	for name, c := range map[string]struct {
		config config.Config
		begin  func(d *driver, e event)
		told   bool
	}{
		"a stream":              {config.Config{EndStreams: true}, func(d *driver, e event) { d.start(e.Stream, 200) }, true},
		"a stream, to be left":  {config.Config{}, func(d *driver, e event) { d.start(e.Stream, 200) }, false},
		"a declared length":     {config.Config{EndStreams: true}, func(d *driver, e event) { d.start(e.Stream, 200, "content-length", "9") }, false},
		"nothing yet":           {config.Config{EndStreams: true}, func(*driver, event) {}, false},
		"a stream, begun later": {config.Config{EndStreams: true}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, server.Config{Conn: c.config})
			peer := d.send(get)
			e := d.expect(handoff.EventRequest)
			if c.begin != nil {
				c.begin(d, e)
			}
			d.turn(0)
			d.server.Drain()
			d.turn(0)
			if c.begin == nil {
				d.start(e.Stream, 200)
			}
			if !c.told {
				for began := time.Now(); time.Since(began) < limits.DrainGrace*3/2; {
					d.turn(5 * time.Millisecond)
				}
				if d.count(handoff.EventHalfClose) != 0 {
					t.Error("told")
				}
				return
			}
			d.expect(handoff.EventHalfClose)
			d.body(e.Stream, "end", 0) // the stream goes on, if its app wants
			if got := d.receive(peer, -1); !strings.HasSuffix(got, "3\r\nend\r\n0\r\n\r\n") {
				t.Errorf("got %q", got)
			}
			d.until("the end", func() bool { return d.empty })
		})
	}
}

// Those with a request whose body is incomplete as well.
func TestDrainEndsSilentStreamsThatMayGetMore(t *testing.T) {
	for name, rest := range map[string]string{"which comes": "world", "which does not come": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, server.Config{Conn: config.Config{EndStreams: true}})
			peer := d.send(post(10, "") + "hello")
			e := d.expect(handoff.EventRequest)
			d.start(e.Stream, 200)
			d.turn(0)
			d.server.Drain()
			d.turn(0)
			d.write(peer, rest)
			d.expect(handoff.EventHalfClose)
		})
	}
}

// Only a few are judged in each turn. While the others wait their turn, their apps do not get more time.
func TestManySilentStreamsAreEndedInOneGo(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{EndStreams: true}})
	const turns = 5
	for range turns * limits.ExpirePerTurn {
		d.send(get)
		d.start(d.expect(handoff.EventRequest).Stream, 200)
	}
	d.turn(0)
	d.server.Drain()
	d.turn(0)
	d.skip(limits.DrainGrace + 2*limits.Tick)
	for range turns {
		d.turn(0)
		d.skip(limits.DrainGrace / 4)
	}
	if n := d.count(handoff.EventHalfClose); n != turns*limits.ExpirePerTurn {
		t.Errorf("%d of %d in so many turns", n, turns*limits.ExpirePerTurn)
	}
}

// A stream that is not silent is not ended, however long it takes.
func TestDrainWaitsForAStreamThatGoesOn(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{EndStreams: true}})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.turn(0)
	d.server.Drain()
	for began := time.Now(); time.Since(began) < limits.DrainGrace*3/2; {
		d.body(e.Stream, "x", handoff.CommandMore)
		d.turn(5 * time.Millisecond)
	}
	if d.count(handoff.EventHalfClose) != 0 {
		t.Error("told")
	}
	d.body(e.Stream, "end", 0)
	if got := d.receive(peer, -1); !strings.HasSuffix(got, "3\r\nend\r\n0\r\n\r\n") {
		t.Errorf("got %q", got[max(0, len(got)-50):])
	}
}

// An event stream would go on for ever: it is told at once, and complete once its app has ended.
func TestDrainEndsEventStreams(t *testing.T) {
	for name, c := range map[string]struct {
		request, kind, rest string
	}{
		"in chunks":         {get, "text/event-stream", "0\r\n\r\n"},
		"until the close":   {"GET / HTTP/1.0\r\n\r\n", "text/event-stream; charset=utf-8", "data: x\n\n"},
		"another kind":      {get, "text/plain", "data: x\n\n\r\n"},
		"another, at close": {"GET / HTTP/1.0\r\n\r\n", "text/plain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := openFrozen(t, server.Config{Conn: config.Config{EndStreams: true}})
			peer := d.send(c.request)
			e := d.expect(handoff.EventRequest)
			d.start(e.Stream, 200, "content-type", c.kind)
			d.turn(0)
			d.server.Drain()
			events := strings.HasPrefix(c.kind, "text/event-stream")
			for range 3 {
				d.body(e.Stream, "data: x\n\n", handoff.CommandMore)
				d.turn(0)
				d.skip(2 * limits.Tick)
			}
			d.turn(0)
			if told := d.count(handoff.EventHalfClose) == 1; told != events {
				t.Errorf("told: %v", told)
			}
			d.command(handoff.CommandAbort, 0, 0, e.Stream, nil)
			d.thaw()
			got := d.receive(peer, -1)
			if !strings.HasSuffix(got, c.rest) || (d.ended == io.EOF) != (c.rest != "") {
				t.Errorf("%q, %v", got, d.ended)
			}
		})
	}
}
