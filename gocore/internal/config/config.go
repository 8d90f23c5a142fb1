// Package config is the settings of a server.
package config

import (
	"time"

	"saltare/gocore/internal/addresses"
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
	MaxRequestBodyPaths  []PathLimit  // octets
	MaxHead              http1.Limits // zero value: the defaults
	WSMaxBytes           uint64

	RequestTimeout      uint32      // from head to the end of the response
	RequestTimeoutPaths []PathLimit // milliseconds

	MaxConnectionLifetime uint32 // of idle connections; others end with their response
	MaxConnectionsPerIP   uint32
	LimitConcurrency      uint32 // requests in progress
	RateLimit, RateBurst  uint32 // requests of one address, per second and at once

	Rate    addresses.Rate // of both
	Answers answer.Rules
	Buckets []int64 // upper bounds of latency histograms, in nanoseconds

	Proxies           proxy.Rules
	ProxyProtocol     proxy.Versions
	ProxyProtocolFrom *proxy.List // peers that may send its header

	ServerHeader []byte // complete line, or nil
	ExtraHeaders []byte // complete lines, or nil
	DateHeader   bool

	RequestIDHeader []byte // name of the field with a request's id; nil: requests have no ids
	Traceparent     bool   // requests have a place in a trace
	ServerTiming    bool
	SecurityHeaders bool
	HSTS            []byte // value of Strict-Transport-Security; nil: it is not sent

	TLS        *TLS // nil: none; only the full flavour has it
	EndStreams bool // end silent streams while draining
	WSDeflate  bool
	WSContext  bool // keep the compression context
	Debug      bool
	Fault      func(during string, port uint16) // for tests: called during the work for the peer with that port; may be nil
	Forked     *uint32                          // not 0 once the process has forked; may be nil
}

// CountsAddresses tells whether a limit needs the table of addresses.
func (c *Config) CountsAddresses() bool { return c.MaxConnectionsPerIP > 0 || c.RateLimit > 0 }

// TLS is the settings of TLS.
type TLS struct {
	Certificates, Keys []string // files in PEM, in pairs; without keys, each certificate's file has its key too
	Password           string   // of the keys that are encrypted; "": none
	Authorities        string   // file in PEM with those that sign clients' certificates; "": clients are not asked
	Required           bool     // a client must have a certificate
	Suites             []string // of TLS 1.2; nil: all
	MinVersion         uint16   // 0: TLS 1.2
	Tickets            int      // descriptor of a file with the secret of session tickets, which the first server fills; 0: no tickets
}

// Ticks converts milliseconds of an option; a positive time never becomes 0, which is off.
func Ticks(ms uint32) uint32 { return limits.Ticks(time.Duration(ms) * time.Millisecond) }
