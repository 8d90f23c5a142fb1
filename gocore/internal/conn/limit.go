// What is refused because of a limit that an option can move: said once for each in a while, with the option.  per refusal

package conn

import (
	"strconv"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/websocket"
)

// limit is an option that something was refused for.
type limit uint8

const (
	noLimit limit = iota
	maxRequestLine
	maxRequestHead
	maxRequestFields
	maxRequestBody
	wsMaxSize
	maxConnections

	allLimits
)

var limitTicks = ticks(limits.LimitLogInterval)

// limitOf is what a refusal is due to.
func limitOf(r *message.Refusal) limit {
	switch r {
	case http1.LineTooLong:
		return maxRequestLine
	case http1.HeadTooLarge:
		return maxRequestHead
	case http1.TooManyFields:
		return maxRequestFields
	case tooLarge:
		return maxRequestBody
	}
	return noLimit
}

// limitOfFailure is the same for a WebSocket.
func limitOfFailure(f *websocket.Failure) limit {
	if f.Code == websocket.TooBig {
		return wsMaxSize
	}
	return noLimit
}

// tellLimit logs a refusal, unless one for that limit was logged within the last minute, or there is no room: then the next one
// will be.
func (h *Host) tellLimit(l limit) {
	if l == noLimit || h.limitSaid[l] != 0 && h.now+1-h.limitSaid[l] < limitTicks {
		return
	}
	if h.log(handoff.LogWarning, h.wordsOf(l)) {
		h.limitSaid[l] = h.now + 1
	}
}

func (h *Host) wordsOf(l limit) string {
	what, option, most, unit := "", "", uint64(0), " bytes"
	switch l {
	case maxRequestLine:
		what, option, most = "a request was refused with 414: its request line", "max_request_line", uint64(h.Config.MaxHead.LineBytes)
	case maxRequestHead:
		what, option, most = "a request was refused with 431: its head", "max_request_head", uint64(h.Config.MaxHead.HeadBytes)
	case maxRequestFields:
		what, option, most, unit = "a request was refused with 431: the number of its fields", "max_request_fields", uint64(h.Config.MaxHead.Fields), ""
	case maxRequestBody:
		what, option, most = "a request was refused with 413: its body", "max_request_body", h.Config.MaxRequestBody
	case wsMaxSize:
		what, option, most = "a WebSocket was closed with 1009: a message", "ws_max_size", h.Config.WSMaxBytes
	case maxConnections:
		what, option, most, unit = "a connection was closed at once, and none is idle to make room: their number", "max_concurrent_connections", uint64(h.Config.MaxConnections), ""
	}
	return what + " exceeds " + option + " of " + grouped(most) + unit + " (" + flagOf(option) + "); further ones within a minute are not logged"
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
