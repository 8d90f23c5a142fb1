// The time, in ticks.

package transport

import (
	"time"

	"saltare/gocore/internal/limits"
)

// Clock is the time of a turn, in ticks since the server was opened.
type Clock struct {
	Now   uint32
	Since time.Duration // since the server was opened
	epoch time.Time
	wall  int64 // milliseconds since 1970, shared with other workers
}

// Set sets the current time.
func (c *Clock) Set(now time.Time) {
	c.Since = now.Sub(c.epoch)
	c.Now = uint32(c.Since / limits.Tick)
	c.wall = now.UnixMilli()
}

// Wall is milliseconds since 1970.
func (c *Clock) Wall() int64 { return c.wall }

// until is the time left until a tick.
func (c *Clock) until(at uint32, now time.Time) time.Duration {
	return max(c.epoch.Add(time.Duration(at)*limits.Tick).Sub(now), 0)
}
