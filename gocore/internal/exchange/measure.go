// What metrics count about requests. Nothing is counted while they are off.

package exchange

import (
	"saltare/gocore/internal/counters"
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
		f.Latency.Add(x.loop.Config.Buckets, int64(x.loop.Clock.Elapsed-s.began))
	}
}
