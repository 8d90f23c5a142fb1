// Answers of our own, and what is said about them.  per connection

package conn

import (
	"fmt"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

var (
	tooLarge    = &message.Refusal{Status: 413, Reason: "request body over max_request_body", Section: "RFC 9110 15.5.14"}
	noTunnel    = &message.Refusal{Status: 501, Reason: "CONNECT is not served", Section: "RFC 9110 9.3.6"}
	headTimeout = &message.Refusal{Status: 408, Reason: "header_timeout", Section: "RFC 9110 15.5.9"}
	bodyTimeout = &message.Refusal{Status: 408, Reason: "body_timeout", Section: "RFC 9110 15.5.9"}
	appDeclined = &message.Refusal{Status: 403, Reason: "the app closed the websocket before it accepted it", Section: "RFC 9110 15.5.4"}
	appFailed   = &message.Refusal{Status: 500, Reason: "the app failed", Section: "RFC 9110 15.6.1"}
)

// refuse answers in the app's place and ends the connection; what follows the request is never parsed as another.
func (h *Host) refuse(c *Conn, r *message.Refusal) {
	if r != appFailed && r != appDeclined {
		h.Counts.Refused++
		h.debug(c, r)
		h.tellLimit(limitOf(r))
	}
	if c.stream != 0 && h.streamOf(c).started {
		s := h.streamOf(c)
		h.abort(c, s)
		return
	}
	// Of a peer whose request was read to its end nothing more is to come.
	c.linger = c.linger || c.stream == 0 || !h.streamOf(c).bodyDone
	c.last = true
	method := h.methodOf(c)
	h.dropStream(c)
	h.unpark(c)
	h.gather(c)
	h.out.buf.B = http1.AppendRefusal(h.out.buf.B, r, method, &h.defaults)
	h.enter(c, Flush)
}

// methodOf is what the form of an answer depends on: HEAD or not.
func (h *Host) methodOf(c *Conn) string {
	if c.stream != 0 && h.streamOf(c).answer.HEAD {
		return "HEAD"
	}
	return ""
}

func (h *Host) debug(c *Conn, r *message.Refusal) {
	if h.Config.Debug {
		h.log(handoff.LogDebug, fmt.Sprintf("%s: %s; answered %d while %s", c.peer(), r.Error(), r.Status, h.doing(c)))
	}
}

// appError reports a mistake of the app that only shows here.
func (h *Host) appError(c *Conn, what string) {
	h.log(handoff.LogError, "error in the app's answer to "+c.peer()+": "+what)
}

func (h *Host) appErrorf(c *Conn, format string, args ...any) {
	h.appError(c, fmt.Sprintf(format, args...))
}

// log adds a line to the inbox, if there is room: a flood of them must not delay requests.
func (h *Host) log(level uint32, line string) bool { return h.say(handoff.EventLog, level, line) }

// Retire asks for this worker to be replaced; false when this turn has no room for that.
func (h *Host) Retire(why string) bool { return h.say(handoff.EventRetire, 0, why) }

func (h *Host) say(kind, flags uint32, line string) bool {
	free := h.inbox.Free()
	if !h.inbox.HasRoom() || len(free) < limits.LogLineBytes+h.inbox.View() {
		return false
	}
	n := copy(free[:limits.LogLineBytes], line)
	h.inbox.Keep(n)
	h.inbox.Add(handoff.Event{Kind: kind, Flags: flags, Data: handoff.Pointer(free), Len: uint64(n)})
	return true
}
