// Package journal is what a server reports through the inbox: log lines, and requests to replace the worker.
package journal

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Journal is the journal of one server.
type Journal struct {
	inbox    *handoff.Inbox
	debug    bool
	limits   [Limits]uint32 // tick + 1 of the last log line about each; 0: never
	panicked []uintptr      // code addresses whose panics were logged
	overdue  []string       // lines that found no room yet
}

// Open makes the journal write to inbox.
func (j *Journal) Open(inbox *handoff.Inbox, debug bool) { j.inbox, j.debug = inbox, debug }

// Debugs tells whether Debug logs anything, so that callers can skip building the line.
func (j *Journal) Debugs() bool { return j.debug }

// Debug logs a line about a peer.
func (j *Journal) Debug(line string) { j.add(handoff.EventLog, handoff.LogDebug, line) }

// Error logs a mistake of the app, or a failure of the server.
func (j *Journal) Error(line string) { j.add(handoff.EventLog, handoff.LogError, line) }

// Warning logs a failure that is not the server's; false if this turn has no room for the line.
func (j *Journal) Warning(line string) bool { return j.add(handoff.EventLog, handoff.LogWarning, line) }

// Retire requests that this worker be replaced; false if this turn has no room for the request.
func (j *Journal) Retire(why string) bool { return j.add(handoff.EventRetire, 0, why) }

// add returns false if there is no room: a flood of lines must not delay requests.
func (j *Journal) add(kind, flags uint32, line string) bool {
	free := j.inbox.Free()
	if !j.inbox.HasRoom() || len(free) < limits.LogLineBytes+j.inbox.View() {
		return false
	}
	n := copy(free[:limits.LogLineBytes], line)
	j.inbox.Keep(n)
	j.inbox.Add(handoff.Event{Kind: kind, Flags: flags, Data: handoff.Pointer(free), Len: uint64(n)})
	return true
}

// Panic logs each place of a panic once, with its stack and what the connection was doing; "" is no connection.
func (j *Journal) Panic(panicked any, doing string) {
	var at [64]uintptr
	frames := runtime.CallersFrames(at[:runtime.Callers(1, at[:])])
	var line strings.Builder
	fmt.Fprintf(&line, "internal error: %v; its connection was closed", panicked)
	if doing != "" {
		line.WriteString(" while " + doing)
	}
	line.WriteString("; at ")
	place, raised := uintptr(0), false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch runtimes := strings.HasPrefix(f.Function, "runtime."); {
		case runtimes && place == 0: // between the panic and here
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
	if slices.Contains(j.panicked, place) || len(j.panicked) == limits.PanicPlaces {
		return
	}
	j.panicked = append(j.panicked, place)
	j.overdue = append(j.overdue, line.String())
	j.LogOverdue()
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func (j *Journal) LogOverdue() {
	for len(j.overdue) > 0 && j.add(handoff.EventLog, handoff.LogError, j.overdue[0]) {
		j.overdue = j.overdue[1:]
	}
}
