// Package config is the settings of a server.
package config

import (
	"time"

	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/proxy"
)

// Config is the settings of connections. Times are in ticks; 0 is off.
type Config struct {
	HeaderTimeout, KeepAliveTimeout, BodyTimeout, WriteTimeout, WSKeepAliveTimeout uint32

	MaxConnections       uint32
	MaxKeepAliveRequests uint32
	MaxRequestBody       uint64
	MaxHead              http1.Limits // zero value: the defaults
	WSMaxBytes           uint64

	Answers answer.Rules
	Buckets []int64 // upper bounds of latency histograms, in nanoseconds

	Proxies           proxy.Rules
	ProxyProtocol     proxy.Versions
	ProxyProtocolFrom *proxy.List // peers that may send its header

	ServerHeader []byte // complete line, or nil
	ExtraHeaders []byte // complete lines, or nil
	DateHeader   bool
	EndStreams   bool // end silent streams while draining
	WSDeflate    bool
	WSContext    bool // keep the compression context
	Debug        bool
	Fault        func(during string, port uint16) // for tests: called during the work for the peer with that port; may be nil
	Forked       *uint32                          // not 0 once the process has forked; may be nil
}

// Ticks converts milliseconds of an option; a positive time never becomes 0, which is off.
func Ticks(ms uint32) uint32 { return limits.Ticks(time.Duration(ms) * time.Millisecond) }
