// Refusals because of a limit: logged once per limit and minute, with the option that sets it, if any.

package journal

import (
	"strconv"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Limit is a limit that was exceeded: an option, or a fixed one.
type Limit uint8

const (
	NoLimit Limit = iota // malformed, or not served
	MaxRequestLine
	MaxRequestHead
	MaxRequestFields
	MaxRequestBody
	WSMaxSize
	MaxConnections
	EmptyLines
	Method
	ChunkSize
	ChunkExtension
	Trailers
	Subprotocols
	ProxyPeer
	ProxyHeader
	Descriptors
	HeaderTimeout
	BodyTimeout
	MaxConnectionsPerIP
	LimitConcurrency
	RateLimit
	RequestTimeout
	MaxRequestBodyPath

	Limits
)

// Names are the causes of refusals in statistics: the option that sets the limit, if there is one.
var Names = [Limits]string{
	"malformed", "max_request_line", "max_request_head", "max_request_fields", "max_request_body", "ws_max_size", "max_concurrent_connections",
	"empty_lines", "method", "chunk_size", "chunk_extension", "trailers", "subprotocols", "proxy_protocol_from", "proxy_protocol",
	"descriptors", "header_timeout", "body_timeout", "max_connections_per_ip", "limit_concurrency", "rate_limit_per_sec",
	"request_timeout", "max_request_body_path",
}

// String is the name of the cause in statistics.
func (l Limit) String() string { return Names[l] }

var interval = limits.Ticks(limits.LimitLogInterval)

// refused has the wording for each limit: what exceeds it, its option ("": it is fixed), its unit. Those without one are not logged.
var refused = [Limits]struct{ what, option, unit string }{
	MaxRequestLine:   {"a request was refused with 414: its request line", "max_request_line", " bytes"},
	MaxRequestHead:   {"a request was refused with 431: its head", "max_request_head", " bytes"},
	MaxRequestFields: {"a request was refused with 431: the number of its fields", "max_request_fields", ""},
	MaxRequestBody:   {"a request was refused with 413: its body", "max_request_body", " bytes"},
	WSMaxSize:        {"a websocket was closed with 1009: a message", "ws_max_size", " bytes"},
	MaxConnections:   {"a connection was closed at once, and none is idle to make room: their number", "max_concurrent_connections", ""},
	EmptyLines:       {"a request was refused with 400: the number of empty lines before it", "", ""},
	Method:           {"a request was refused with 501: its method", "", " bytes"},
	ChunkSize:        {"a request was refused with 400: the size of a chunk", "", " digits"},
	ChunkExtension:   {"a request was refused with 400: a chunk extension", "", " bytes"},
	Trailers:         {"a request was refused with 431: its trailer section", "", " bytes"},
	Subprotocols:     {"a websocket was refused with 400: the number of its subprotocols", "", ""},
	LimitConcurrency: {"a request was refused with 503: the number of requests in progress", "limit_concurrency", ""},

	RequestTimeout:      {"a request was ended and its task cancelled: its time", "request_timeout", ""},
	MaxRequestBodyPath:  {"a request was refused with 413: its body", "max_request_body_path", " bytes"},
	RateLimit:           {"a request was refused with 429: the rate of its client's requests", "rate_limit_per_sec", " per second"},
	MaxConnectionsPerIP: {"a connection was reset: the number of its address's connections", "max_connections_per_ip", ""},
}

// Refused logs, at tick now, that something exceeds a limit of most, unless it logged the same limit within the last minute. Without
// room for the line, it logs the next refusal instead.
func (j *Journal) Refused(l Limit, most uint64, now uint32) {
	of := &refused[l]
	if of.what == "" || j.logged(l, now) {
		return
	}
	line := of.what + " exceeds "
	if of.option == "" {
		line += "the fixed limit of " + grouped(most) + of.unit
	} else {
		line += of.option
		if most > 0 {
			line += " of " + grouped(most) + of.unit
		}
		line += " (" + flagOf(of.option) + ")"
	}
	j.Once(l, line, now)
}

// Once logs a line at tick now, unless one about the same limit was logged within the last minute.
func (j *Journal) Once(l Limit, line string, now uint32) {
	if j.logged(l, now) {
		return
	}
	if j.add(handoff.EventLog, handoff.LogWarning, line+"; further ones within a minute are not logged") {
		j.limits[l] = now + 1
	}
}

func (j *Journal) logged(l Limit, now uint32) bool {
	return j.limits[l] != 0 && now+1-j.limits[l] < interval
}

// flagOf is an option as written on the command line.
func flagOf(option string) string {
	flag := []byte("--" + option)
	for i, c := range flag {
		if c == '_' {
			flag[i] = '-'
		}
	}
	return string(flag)
}

// grouped formats a number with thousands separators: 65,536.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
