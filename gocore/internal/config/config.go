// Package config is the settings of a server.
package config

import (
	"time"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
)

// Config has times in ticks; 0 is off.
type Config struct {
	HeaderTimeout, KeepAliveTimeout, BodyTimeout, WriteTimeout, WSKeepAliveTimeout uint32

	MaxConnections       uint32
	MaxKeepAliveRequests uint32
	MaxRequestBody       uint64
	MaxHead              http1.Limits // its zero value: the defaults
	WSMaxBytes           uint64

	ServerHeader []byte // complete line, or nil
	ExtraHeaders []byte // complete lines, or nil
	DateHeader   bool
	WSDeflate    bool
	WSContext    bool // of compressed messages is kept
	Debug        bool
	Fault        func(during string, port uint16) // of tests: called within work for the peer with that port; nil: none
	Forked       *uint32                          // not 0 once the process has forked; may be nil
}

// Ticks converts an option in milliseconds; a positive time is never rounded to off.
func Ticks(ms uint32) uint32 { return limits.Ticks(time.Duration(ms) * time.Millisecond) }
