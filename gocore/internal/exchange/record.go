// The access log: when a request is recorded, and how it ended.

package exchange

import (
	"saltare/gocore/internal/accesslog"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

// vanished is the close code of a websocket that ended without a Close (RFC 6455 7.1.5).
const vanished = 1006

// Record begins the record of a request, as it was described to the app.
func (x *Streams) Record(s *Stream, r *handoff.Request) {
	if x.Log != nil {
		s.record = x.beginRecord(s, r)
	}
}

func (x *Streams) beginRecord(s *Stream, r *handoff.Request) uint32 {
	n := x.NamesOf(s)
	x.Log.Names = accesslog.Names{ID: n.ID, Trace: n.Traceparent}
	return x.Log.Begin(r, s.WebSocket)
}

// IsRecorded tells whether the request gets a line once its response is sent.
func (s *Stream) IsRecorded() bool { return s.record != 0 }

// Answered notes that the response begins.
func (x *Streams) Answered(s *Stream) {
	s.Started = true
	if s.record != 0 {
		x.Log.Answered(s.record)
	}
}

// Opens notes that the websocket is open.
func (x *Streams) Opens(s *Stream) {
	x.Answered(s)
	if s.record != 0 {
		x.Log.Opens(s.record, accesslog.End{Status: message.Switching, Outcome: accesslog.Opened})
	}
}

// Sent counts octets of a message of the websocket.
func (s *Stream) Sent(n int) { s.given += uint64(n) }

// ClosedWith notes the close code of the websocket; the first one counts.
func (s *Stream) ClosedWith(code uint16) {
	if s.code == 0 {
		s.code = code
	}
}

// RecordRefusal writes the line of a request that got a response of n octets in place of the app's. s is nil if its head is not known.
func (x *Streams) RecordRefusal(c *transport.Conn, s *Stream, r *message.Refusal, n int) {
	if x.Log == nil {
		return
	}
	e := accesslog.End{Status: uint16(r.Status), Outcome: accesslog.Refused}
	if r == AppFailed {
		e.Outcome = accesslog.Failed
	}
	if s == nil {
		e.Out = uint64(n)
		x.Log.Unparsed(&c.Client, e)
		return
	}
	if s.record == 0 {
		return
	}
	if e.In = s.Received; !s.Response.HEAD {
		e.Out = uint64(n)
	}
	x.Log.Answered(s.record)
	x.end(s, e)
}

// RecordEnd writes the line of a request whose response was sent, or will not be sent any further.
func (x *Streams) RecordEnd(c *transport.Conn, s *Stream) {
	if s.record == 0 {
		return
	}
	e := accesslog.End{In: s.Received, Out: s.given, Status: s.Response.Status}
	waiting := uint64(x.loop.Output.Waiting(c))
	switch {
	case s.stage == Open || s.stage == Closing:
		e.Status, e.Outcome, e.Code = message.Switching, accesslog.Closed, s.code
		if e.Code == 0 {
			e.Code = vanished
		} else { // what waits ends with our Close, and the peer reads it
			waiting = 0
		}
	case !s.Started:
		e.Status, e.Outcome = accesslog.PeerGone, accesslog.Gone
	case !s.whole || waiting > 0:
		e.Outcome = accesslog.Cut
	}
	e.Out -= min(waiting, e.Out)
	x.end(s, e)
}

func (x *Streams) end(s *Stream, e accesslog.End) {
	x.Log.End(s.record, e)
	s.record = 0
}
