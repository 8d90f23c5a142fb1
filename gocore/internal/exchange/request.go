// The request's body: what the app was given, and has taken.

package exchange

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Paused tells whether the app has enough to do with what it was given, so that nothing more is to be read for it.
func (s *Stream) Paused() bool { return s.unread >= limits.UnreadBytes }

// Unread is what the app was given and has not taken.
func (s *Stream) Unread() uint32 { return s.unread }

// Forget: what the app has not taken does not count any more.
func (s *Stream) Forget() { s.unread = 0 }

// Count: the app has so many bytes to take, and what each thing that it takes costs besides.
func (s *Stream) Count(n, cost uint32) { s.unread += n + cost }

// CountPiece: the app has a piece of a body to take that goes on.
func (s *Stream) CountPiece(body []byte) {
	if len(body) > 0 {
		s.Count(uint32(len(body)), limits.PieceCostBytes)
	}
}

// Consumed: the app took n bytes. resumes: it had enough to do, and has not any more. reads: it may be given more.
func (s *Stream) Consumed(n uint32) (resumes, reads bool) {
	paused := s.Paused()
	s.unread -= min(n, s.unread)
	return paused && !s.Paused(), !s.Paused()
}

// Took takes note of n more bytes of the body. One that sends does not wait (RFC 9110 10.1.1).
func (s *Stream) Took(n int) {
	s.Received += uint64(n)
	if n > 0 || s.BodyDone {
		s.Expecting = false
	}
}

// Oversized tells whether the body exceeds the limit.
func (x *Streams) Oversized(s *Stream) bool {
	most := x.loop.Config.MaxRequestBody
	return most > 0 && s.Received > most
}

// GivePiece gives the app a piece of the body; it may be empty, at its end.
func (x *Streams) GivePiece(s *Stream, body []byte) {
	var flags uint32
	if s.BodyDone {
		flags = handoff.EventLast
	}
	x.inbox.Add(handoff.Event{Kind: handoff.EventBody, Flags: flags, Stream: s.Handle(),
		Data: handoff.Pointer(body), Len: uint64(len(body))})
}

// HalfClosed tells the app, once, that its peer sends nothing any more. TCP does not tell a peer that has ended that side alone from one
// that has gone. So the app may stop working for it; a response that it makes all the same is sent, and shows which of the two it is.
func (x *Streams) HalfClosed(s *Stream) {
	if !s.halfTold && !s.complete {
		s.halfTold = true
		x.inbox.Add(handoff.Event{Kind: handoff.EventHalfClose, Stream: s.Handle()})
	}
}
