// permessage-deflate, agreed on (RFC 7692 7.1): of a peer's offers, the first that we can keep to.  per connection
//
// We always ask for no context takeover in both directions, which a server may (RFC 7692 7.1.1): then neither side holds a window
// between two messages, and what inflates and deflates is shared by all connections.

package websocket

import (
	"strconv"

	"saltare/gocore/internal/http1"
)

// Deflate is what was agreed on; the zero value is nothing.
type Deflate struct {
	WindowBits uint8 // of what we send, from 8 to 15; 0: messages are not compressed
}

// On tells whether messages may be compressed.
func (d Deflate) On() bool { return d.WindowBits != 0 }

const (
	fewestBits = 8
	mostBits   = 15
)

// readOffers takes a value of Sec-WebSocket-Extensions. Extensions that are unknown and offers that are malformed are passed over
// (RFC 6455 9.1, RFC 7692 5.1).
func (d *Deflate) readOffers(value []byte) {
	for another := true; another && !d.On(); {
		var offer []byte
		offer, value, another = http1.CutList(value)
		*d = readOffer(offer)
	}
}

// parameters of an offer; each may stand there once.
const (
	serverNoContext = 1 << iota
	clientNoContext
	serverBits
	clientBits
)

func readOffer(offer []byte) (d Deflate) {
	name, rest, more := http1.CutParameters(offer)
	if string(name) != "permessage-deflate" {
		return Deflate{}
	}
	d.WindowBits = mostBits
	for seen := 0; more; {
		var parameter []byte
		parameter, rest, more = http1.CutParameters(rest)
		which, bits := readParameter(parameter)
		if which == 0 || seen&which != 0 {
			return Deflate{}
		}
		seen |= which
		if which == serverBits {
			d.WindowBits = bits
		}
	}
	return d
}

// readParameter returns 0 for one that is unknown or malformed.
func readParameter(parameter []byte) (which int, bits uint8) {
	name, value, hasValue := http1.CutValue(parameter)
	switch string(name) {
	case "server_no_context_takeover":
		which = serverNoContext
	case "client_no_context_takeover":
		which = clientNoContext
	case "server_max_window_bits":
		which = serverBits
	case "client_max_window_bits":
		which = clientBits
	}
	if which&(serverBits|clientBits) == 0 {
		if hasValue {
			return 0, 0
		}
		return which, 0
	}
	if !hasValue && which == clientBits { // the peer leaves it to us
		return which, 0
	}
	n, err := strconv.ParseUint(string(value), 10, 8)
	if err != nil || n < fewestBits || n > mostBits || value[0] == '0' {
		return 0, 0
	}
	return which, uint8(n)
}

// appendField appends the line that agrees.
func (d Deflate) appendField(dst []byte) []byte {
	if !d.On() {
		return dst
	}
	dst = append(dst, "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
	if d.WindowBits < mostBits {
		dst = append(dst, "; server_max_window_bits="...)
		dst = strconv.AppendUint(dst, uint64(d.WindowBits), 10)
	}
	return append(dst, "\r\n"...)
}
