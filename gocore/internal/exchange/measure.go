// What metrics count about requests. Nothing is counted while they are off.

package exchange

import (
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/message"
)

// Responded counts the head of a response with that status.
func (x *Streams) Responded(status int) {
	if f := x.loop.Figures; f != nil {
		f.Responses[min(max(status/100, 1), counters.Classes)-1]++
	}
}

// Measure counts how long the app took for a request whose response is complete.
func (x *Streams) Measure(s *Stream) {
	if f := x.loop.Figures; f != nil && !s.complete {
		f.Latency.Add(x.loop.Config.Buckets, int64(x.loop.Clock.Since-s.began))
	}
}

// reasonOf is the label of a refusal.
func reasonOf(r *message.Refusal, limit journal.Limit) counters.Reason {
	switch limit {
	case journal.MaxRequestLine:
		return counters.MaxRequestLine
	case journal.MaxRequestHead:
		return counters.MaxRequestHead
	case journal.MaxRequestFields:
		return counters.MaxRequestFields
	case journal.MaxRequestBody:
		return counters.MaxRequestBody
	}
	switch {
	case r == HeadTimeout:
		return counters.HeaderTimeout
	case r == BodyTimeout:
		return counters.BodyTimeout
	case r == OutOfMemory:
		return counters.NoMemory
	case r.Status == 417 || r.Status > 500:
		return counters.Unsupported
	}
	return counters.BadRequest
}
