// After a panic of ours: what connections share is made consistent again, and the one that was worked for ends.  per panic

package conn

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/sock"
	"saltare/gocore/internal/websocket"
)

// WorkFor notes for which connection work begins; nil: for none.
func (h *Host) WorkFor(c *Conn) { h.working = c }

// fault is where tests have a panic happen.
func (h *Host) fault(during string) {
	if h.Config.Fault != nil && h.working != nil {
		h.Config.Fault(during, h.working.client.Port)
	}
}

// Recover takes up what a panic has left. What every connection uses:
//
//   - gathered output, of the connection that was worked for: given back with it. Of another one: whole, since the work for it is
//     what the panic would have been in.
//   - the list of pieces for sendmsg(2): forgotten.
//   - the arena of the inbox: what was kept without an event is memory of this turn, no more. An event that was added is
//     true, and is followed by that of the end.
//   - queues, wheel, slabs: changed by steps that do not fail on records that are sound. On one that is not, the connection
//     is ended without what its record named.
//   - the lists of a turn (later, due, reports, commands): their places move on before the work, so nothing is met twice.
//   - a connection that was accepted while the panic was in the work for another: closed.
//   - decompressors: made anew.
func (h *Host) Recover(panicked any) {
	c := h.working
	h.working = nil
	h.Counts.Panics++
	h.logPanic(c, panicked)
	h.out.iov.Forget()
	h.inflater, h.deflater = websocket.Inflater{}, websocket.Deflater{}
	if h.arriving >= 0 {
		sock.Close(h.arriving)
		h.arriving = -1
	}
	if c == nil || c.phase == Closed {
		return
	}
	c.reset = true // the peer must not take what it has for all
	if attempt(func() { h.close(c) }) {
		return
	}
	if c.phase != Closed {
		c.stream, c.queue, c.parked, c.held = 0, 0, pool.Buffer{}, 0
		attempt(func() { h.close(c) })
	}
}

// attempt tells whether do did not panic.
func attempt(do func()) (done bool) {
	defer func() { done = done || recover() == nil }()
	do()
	return true
}

// logPanic logs each place of a panic once, with the stack that led there.
func (h *Host) logPanic(c *Conn, panicked any) {
	var at [64]uintptr
	frames := runtime.CallersFrames(at[:runtime.Callers(1, at[:])])
	var line strings.Builder
	fmt.Fprintf(&line, "internal error: %v; its connection was closed", panicked)
	if c != nil {
		fmt.Fprintf(&line, " while %s", h.doing(c))
	}
	line.WriteString("; at ")
	place, raised := uintptr(0), false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch runtimes := strings.HasPrefix(f.Function, "runtime."); {
		case runtimes && place == 0: // on the way from the panic to here
			raised = true
		case runtimes:
			more = false
		case raised:
			if place != 0 {
				line.WriteString(" < ")
			} else {
				place = f.PC
			}
			line.WriteString(lastPart(f.Function) + " (" + lastPart(f.File) + ":" + strconv.Itoa(f.Line) + ")")
		}
	}
	if slices.Contains(h.panicked, place) || len(h.panicked) == limits.PanicPlaces {
		return
	}
	h.panicked = append(h.panicked, place)
	h.overdue = append(h.overdue, line.String())
	h.SayOverdue()
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// SayOverdue logs the lines that found no room yet.
func (h *Host) SayOverdue() {
	for len(h.overdue) > 0 && h.log(handoff.LogError, h.overdue[0]) {
		h.overdue = h.overdue[1:]
	}
}
