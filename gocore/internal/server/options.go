// The options of a server: what each is called, what it takes and what it sets.

package server

import (
	"math"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/limits"
)

// Unit is what the values of an option count.
type Unit uint32

// The units.
const (
	Plain        Unit = iota // what the name says: bytes, requests, a descriptor; of a switch 0 and 1
	Milliseconds             // 0 is off
)

// Option is a row of Options.
type Option struct {
	Name string // that of its row in saltare/options/table.py, if users give it
	Unit Unit
	Most uint64 // the largest value
	set  func(c *Config, value uint64)
}

// Options are all that a Config can be made of by name: an option of the core stands here, and in saltare/options/table.py if users give it.
// Config says what the values mean.
var Options = [...]Option{
	{"header_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.HeaderTimeout = config.Ticks(uint32(v)) }},
	{"keep_alive_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.KeepAliveTimeout = config.Ticks(uint32(v)) }},
	{"body_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.BodyTimeout = config.Ticks(uint32(v)) }},
	{"write_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.WriteTimeout = config.Ticks(uint32(v)) }},
	{"ws_keepalive_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.WSKeepAliveTimeout = config.Ticks(uint32(v)) }},
	{"max_concurrent_connections", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxConnections = uint32(v) }},
	{"max_keepalive_requests", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxKeepAliveRequests = uint32(v) }},
	{"max_request_line", Plain, limits.MostRequestLineBytes, func(c *Config, v uint64) { c.Conn.MaxHead.LineBytes = int(v) }},
	{"max_request_head", Plain, limits.MostHeadBytes, func(c *Config, v uint64) { c.Conn.MaxHead.HeadBytes = int(v) }},
	{"max_request_fields", Plain, limits.MostFields, func(c *Config, v uint64) { c.Conn.MaxHead.Fields = int(v) }},
	{"max_request_body", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Conn.MaxRequestBody = v }},
	{"date_header", Plain, 1, func(c *Config, v uint64) { c.Conn.DateHeader = v != 0 }},
	{"ws_max_size", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Conn.WSMaxBytes = v }},
	{"ws_per_message_deflate", Plain, 1, func(c *Config, v uint64) { c.Conn.WSDeflate = v != 0 }},
	{"ws_deflate_context", Plain, 1, func(c *Config, v uint64) { c.Conn.WSContext = v != 0 }},
	{"guest", Plain, 1, func(c *Config, v uint64) { c.Guest = v != 0 }},
	{"debug", Plain, 1, func(c *Config, v uint64) { c.Conn.Debug = v != 0 }},
	{"counters", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Counters = int(v) }},
	{"slot", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Slot = int(v) }},
	{"retire_requests", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Worker.Requests = v }},
	{"retire_rss", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Worker.RSS = v }},
}

// Set sets the option with that index; unix.EINVAL when there is none, or when the value is too large for it.
func (c *Config) Set(option uint32, value uint64) error {
	if int(option) >= len(Options) || value > Options[option].Most {
		return unix.EINVAL
	}
	Options[option].set(c, value)
	return nil
}
