// The time, in ticks.

package transport

import (
	"time"

	"saltare/gocore/internal/limits"
)

// Clock is the time of a turn, in ticks since the server was opened.
type Clock struct {
	Now   uint32
	epoch time.Time
	wall  int64 // milliseconds since 1970, shared with other workers
}

// Set sets the current time.
func (c *Clock) Set(now time.Time) {
	c.Now = uint32(now.Sub(c.epoch) / limits.Tick)
	c.wall = now.UnixMilli()
}

// until is the time left until a tick.
func (c *Clock) until(at uint32, now time.Time) time.Duration {
	return max(c.epoch.Add(time.Duration(at)*limits.Tick).Sub(now), 0)
}
