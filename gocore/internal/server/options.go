// The options of a server: their names, units and settings.

package server

import (
	"math"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/limits"
)

// Unit is the unit of an option's values.
type Unit uint32

const (
	Plain        Unit = iota // as the name says: bytes, requests, a descriptor; a switch is 0 or 1
	Milliseconds             // 0 is off
)

type Option struct {
	Name string // as in saltare/options/table.py, if users can set it
	Unit Unit
	Most uint64 // the largest value
	set  func(c *Config, value uint64)
}

// Options are all options of a Config. An option of the core is defined here, and in saltare/options/table.py if users can set it.
// Config documents the values.
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
	{"end_streams", Plain, 1, func(c *Config, v uint64) { c.Conn.EndStreams = v != 0 }},
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

// Set sets an option by its index in Options. unix.EINVAL: no such option, or the value is too large for it.
func (c *Config) Set(option uint32, value uint64) error {
	if int(option) >= len(Options) || value > Options[option].Most {
		return unix.EINVAL
	}
	Options[option].set(c, value)
	return nil
}
