// The options of a server: their names, units and settings.

package server

import (
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/proxy"
)

// Unit is the unit of an option's values.
type Unit uint32

const (
	Plain        Unit = iota // as the name says: bytes, requests, a descriptor; a switch is 0 or 1
	Milliseconds             // 0 is off
	Text                     // the value is the length in octets of a text; 0 is none
)

type Option struct {
	Name string // as in saltare/options/table.py, if users can set it
	Unit Unit
	Most uint64 // the largest value
	set  func(c *Config, value uint64)
	text func(c *Config, text []byte) // in place of set, for Text
}

// Options are all options of a Config. An option of the core is defined here, and in saltare/options/table.py if users can set it.
// Config documents the values.
var Options = [...]Option{
	{"header_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.HeaderTimeout = config.Ticks(uint32(v)) }, nil},
	{"keep_alive_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.KeepAliveTimeout = config.Ticks(uint32(v)) }, nil},
	{"body_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.BodyTimeout = config.Ticks(uint32(v)) }, nil},
	{"write_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.WriteTimeout = config.Ticks(uint32(v)) }, nil},
	{"ws_keepalive_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.WSKeepAliveTimeout = config.Ticks(uint32(v)) }, nil},
	{"max_concurrent_connections", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxConnections = uint32(v) }, nil},
	{"max_keepalive_requests", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxKeepAliveRequests = uint32(v) }, nil},
	{"max_request_line", Plain, limits.MostRequestLineBytes, func(c *Config, v uint64) { c.Conn.MaxHead.LineBytes = int(v) }, nil},
	{"max_request_head", Plain, limits.MostHeadBytes, func(c *Config, v uint64) { c.Conn.MaxHead.HeadBytes = int(v) }, nil},
	{"max_request_fields", Plain, limits.MostFields, func(c *Config, v uint64) { c.Conn.MaxHead.Fields = int(v) }, nil},
	{"max_request_body", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Conn.MaxRequestBody = v }, nil},
	{"limit_concurrency", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.LimitConcurrency = uint32(v) }, nil},
	{"max_connection_lifetime", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxConnectionLifetime = config.Ticks(uint32(v)) }, nil},
	{"max_connections_per_ip", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.MaxConnectionsPerIP = uint32(v) }, nil},
	{"rate_limit_per_sec", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.RateLimit = uint32(v) }, nil},
	{"rate_limit_burst", Plain, math.MaxUint32, func(c *Config, v uint64) { c.Conn.RateBurst = uint32(v) }, nil},
	{"request_timeout", Milliseconds, math.MaxUint32, func(c *Config, v uint64) { c.Conn.RequestTimeout = config.Ticks(uint32(v)) }, nil},
	{"request_timeout_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.RequestTimeoutPaths = config.ParsePaths(t) }},
	{"max_request_body_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.MaxRequestBodyPaths = config.ParsePaths(t) }},
	{"date_header", Plain, 1, func(c *Config, v uint64) { c.Conn.DateHeader = v != 0 }, nil},
	{"end_streams", Plain, 1, func(c *Config, v uint64) { c.Conn.EndStreams = v != 0 }, nil},
	{"server_header", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.ServerHeader = slices.Concat([]byte("server: "), t, []byte("\r\n")) }},
	{"header", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.ExtraHeaders = t }},
	{"request_id_header", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.RequestIDHeader = t }},
	{"traceparent_propagation", Plain, 1, func(c *Config, v uint64) { c.Conn.Traceparent = v != 0 }, nil},
	{"server_timing", Plain, 1, func(c *Config, v uint64) { c.Conn.ServerTiming = v != 0 }, nil},
	{"security_headers", Plain, 1, func(c *Config, v uint64) { c.Conn.SecurityHeaders = v != 0 }, nil},
	{"hsts", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.HSTS = t }},
	{"health_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Answers.Health = t }},
	{"metrics_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Answers.Metrics = t }},
	{"status_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Answers.Status = t }},
	{"tracemalloc_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Answers.Trace = t }},
	{"metrics_buckets", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Buckets = parseBuckets(string(t)) }},
	{"favicon_204", Plain, 1, func(c *Config, v uint64) { c.Conn.Answers.Favicon = v != 0 }, nil},
	{"cors_preflight_allow_all", Plain, 1, func(c *Config, v uint64) { c.Conn.Answers.Preflight = v != 0 }, nil},
	{"proxy_headers", Plain, 1, func(c *Config, v uint64) { c.Conn.Proxies.On = v != 0 }, nil},
	{"forwarded_allow_ips", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Proxies.From = proxy.ParseList(t) }},
	{"proxy_fields", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Proxies.Fields = proxy.ParseFields(t) }},
	{"secure_scheme_headers", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.Proxies.Secure = proxy.ParseSecure(t) }},
	{"proxy_versions", Plain, uint64(proxy.Version1 | proxy.Version2), func(c *Config, v uint64) { c.Conn.ProxyProtocol = proxy.Versions(v) }, nil},
	{"proxy_protocol_from", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Conn.ProxyProtocolFrom = proxy.ParseList(t) }},
	{"ws_max_size", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Conn.WSMaxBytes = v }, nil},
	{"ws_per_message_deflate", Plain, 1, func(c *Config, v uint64) { c.Conn.WSDeflate = v != 0 }, nil},
	{"ws_deflate_context", Plain, 1, func(c *Config, v uint64) { c.Conn.WSContext = v != 0 }, nil},
	{"tls_certificates", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.tls().Certificates = files(t) }},
	{"tls_keys", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.tls().Keys = files(t) }},
	{"tls_password", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.tls().Password = string(t) }},
	{"tls_authorities", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.tls().Authorities = string(t) }},
	{"tls_required", Plain, 1, func(c *Config, v uint64) { c.tlsIf(v).Required = v != 0 }, nil},
	{"tls_ciphers", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.tls().Suites = strings.Split(string(t), ":") }},
	{"tls_min_version", Plain, math.MaxUint16, func(c *Config, v uint64) { c.tlsIf(v).MinVersion = uint16(v) }, nil},
	{"tls_tickets", Plain, math.MaxInt32, func(c *Config, v uint64) { c.tlsIf(v).Tickets = int(v) }, nil},
	{"admin_listeners", Plain, math.MaxUint16, func(c *Config, v uint64) { c.Admin = int(v) }, nil},
	{"guest", Plain, 1, func(c *Config, v uint64) { c.Guest = v != 0 }, nil},
	{"debug", Plain, 1, func(c *Config, v uint64) { c.Conn.Debug = v != 0 }, nil},
	{"counters", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Counters = int(v) }, nil},
	{"slot", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Slot = int(v) }, nil},
	{"addresses", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Addresses = int(v) }, nil},
	{"number", Plain, math.MaxInt32, func(c *Config, v uint64) { c.Worker.Number, c.Log.Worker = int(v), uint32(v) }, nil},
	{"retire_requests", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Worker.Requests = v }, nil},
	{"access_log", Plain, 1, func(c *Config, v uint64) { c.Log.On = v != 0 }, nil},
	{"access_log_path", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Log.Path = string(t) }},
	{"access_log_format", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Log.Format = string(t) }},
	{"access_log_exclude", Text, math.MaxInt32, nil, func(c *Config, t []byte) { c.Log.Exclude = t }},
	{"retire_rss", Plain, math.MaxUint64, func(c *Config, v uint64) { c.Worker.RSS = v }, nil},
}

// tls is the settings of TLS. An option of it that is set turns TLS on.
func (c *Config) tls() *config.TLS {
	if c.Conn.TLS == nil {
		c.Conn.TLS = &config.TLS{}
	}
	return c.Conn.TLS
}

// tlsIf is tls, but a value of 0 does not turn TLS on.
func (c *Config) tlsIf(value uint64) *config.TLS {
	if value == 0 && c.Conn.TLS == nil {
		return &config.TLS{}
	}
	return c.tls()
}

// files are the names of files in a text, separated by NUL.
func files(text []byte) []string { return strings.Split(string(text), "\x00") }

// Set sets an option by its index in Options; it keeps no reference to text. unix.EINVAL: no such option, the value is too large for
// it, or it is not the length of text.
func (c *Config) Set(option uint32, value uint64, text []byte) error {
	if int(option) >= len(Options) || value > Options[option].Most {
		return unix.EINVAL
	}
	row := &Options[option]
	if row.Unit != Text {
		row.set(c, value)
		return nil
	}
	if value != uint64(len(text)) {
		return unix.EINVAL
	}
	if value > 0 {
		row.text(c, slices.Clone(text))
	}
	return nil
}
