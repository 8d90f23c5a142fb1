// The request's body: what was passed to the app, and what the app has consumed.

package exchange

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Paused tells whether the app has enough unread input, so that no more is to be read.
func (s *Stream) Paused() bool { return s.unread >= limits.UnreadBytes }

// Unread is the input passed to the app and not consumed yet, in bytes and costs.
func (s *Stream) Unread() uint32 { return s.unread }

// Forget resets the unread count.
func (s *Stream) Forget() { s.unread = 0 }

// Count adds n bytes to the unread count, and the cost of the piece or message that they are in.
func (s *Stream) Count(n, cost uint32) { s.unread += n + cost }

// CountPiece adds a piece of a body that is not the last to the unread count.
func (s *Stream) CountPiece(body []byte) {
	if len(body) > 0 {
		s.Count(uint32(len(body)), limits.PieceCostBytes)
	}
}

// Consumed subtracts n bytes that the app has consumed. resumes: the stream was paused and is not any more. reads: it is not paused.
func (s *Stream) Consumed(n uint32) (resumes, reads bool) {
	paused := s.Paused()
	s.unread -= min(n, s.unread)
	return paused && !s.Paused(), !s.Paused()
}

// CountReceived counts n more bytes of the received body. A peer that sends its body no longer waits for 100 (RFC 9110 10.1.1).
func (s *Stream) CountReceived(n int) {
	s.Received += uint64(n)
	if n > 0 || s.BodyDone {
		s.Expecting = false
	}
}

// MostBody is the limit of the request's body, in octets; 0: none.
func (x *Streams) MostBody(s *Stream) uint64 {
	if s.BodyPath > 0 {
		return x.loop.Config.MaxRequestBodyPaths[s.BodyPath-1].Value
	}
	return x.loop.Config.MaxRequestBody
}

// Oversized tells whether the body exceeds its limit.
func (x *Streams) Oversized(s *Stream) bool {
	most := x.MostBody(s)
	return most > 0 && s.Received > most
}

// PassPiece passes a piece of the body to the app; the last piece may be empty.
func (x *Streams) PassPiece(s *Stream, body []byte) {
	var flags uint32
	if s.BodyDone {
		flags = handoff.EventLast
	}
	x.inbox.Add(handoff.Event{Kind: handoff.EventBody, Flags: flags, Stream: s.Handle(),
		Data: handoff.Pointer(body), Len: uint64(len(body))})
}

// Watch makes the stream one whose app gets a disconnect once it is silent. first: it was none, and a deadline is to be armed.
func (s *Stream) Watch() (first bool) {
	first = !s.Watched && !s.told && !s.complete
	s.Watched = s.Watched || first
	return first
}

// Told tells whether the app has got its disconnect.
func (s *Stream) Told() bool { return s.told }

// HalfClosed gives the app a disconnect, once: the peer has closed its sending side, or the server is draining. Over TCP, a half-close
// looks the same as a full close, so the app may stop working. If it still responds, the response is sent, and the write shows which
// of the two it was.
func (x *Streams) HalfClosed(s *Stream) {
	told := s.told || s.complete
	s.Watched, s.told = false, true
	if !told {
		x.inbox.Add(handoff.Event{Kind: handoff.EventHalfClose, Stream: s.Handle()})
	}
}
