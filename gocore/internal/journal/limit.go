// What is refused because of a limit that an option can move: logged once for each in a while, with the option.

package journal

import (
	"strconv"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Limit is an option that something was refused for.
type Limit uint8

const (
	NoLimit Limit = iota
	MaxRequestLine
	MaxRequestHead
	MaxRequestFields
	MaxRequestBody
	WSMaxSize
	MaxConnections

	allLimits
)

var interval = limits.Ticks(limits.LimitLogInterval)

// refused is what the log says of each limit: what exceeds it, its option, its unit.
var refused = [allLimits]struct{ what, option, unit string }{
	MaxRequestLine:   {"a request was refused with 414: its request line", "max_request_line", " bytes"},
	MaxRequestHead:   {"a request was refused with 431: its head", "max_request_head", " bytes"},
	MaxRequestFields: {"a request was refused with 431: the number of its fields", "max_request_fields", ""},
	MaxRequestBody:   {"a request was refused with 413: its body", "max_request_body", " bytes"},
	WSMaxSize:        {"a WebSocket was closed with 1009: a message", "ws_max_size", " bytes"},
	MaxConnections:   {"a connection was closed at once, and none is idle to make room: their number", "max_concurrent_connections", ""},
}

// Refused logs, at a tick, that something exceeds a limit of most, unless the same was logged within the last minute, or there is no
// room: then the next one will be.
func (j *Journal) Refused(l Limit, most uint64, now uint32) {
	if l == NoLimit || j.limits[l] != 0 && now+1-j.limits[l] < interval {
		return
	}
	of := &refused[l]
	line := of.what + " exceeds " + of.option + " of " + grouped(most) + of.unit + " (" + flagOf(of.option) + "); further ones within a minute are not logged"
	if j.add(handoff.EventLog, handoff.LogWarning, line) {
		j.limits[l] = now + 1
	}
}

// flagOf is an option as the command line has it.
func flagOf(option string) string {
	flag := []byte("--" + option)
	for i, c := range flag {
		if c == '_' {
			flag[i] = '-'
		}
	}
	return string(flag)
}

// grouped is a number with its thousands apart: 65,536.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
