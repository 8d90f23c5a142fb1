// The negotiation of permessage-deflate (RFC 7692 7.1): the first acceptable offer of a peer is accepted.
//
// Without context the server requests no context takeover in both directions, which it may (RFC 7692 7.1.1): then neither side keeps
// a window between two messages. With context, windows are as small as limits.ContextBits; a peer whose window cannot be limited,
// because it did not offer client_max_window_bits, keeps none. All connections share one Inflater and one Deflater either way.

package websocket

import (
	"strconv"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/octet"
)

// Deflate is the agreed parameters; the zero value is no compression.
type Deflate struct {
	WindowBits   uint8 // of our window, from 8 to 15; 0: messages are not compressed
	ReceivedBits uint8 // of the context kept from the peer's messages; 0: none is kept
	KeepsSent    bool  // context of our messages is kept, within WindowBits
}

// On tells whether messages may be compressed.
func (d Deflate) On() bool { return d.WindowBits != 0 }

// KeepsContext tells whether any context is kept between two messages.
func (d Deflate) KeepsContext() bool { return d.KeepsSent || d.ReceivedBits != 0 }

const (
	fewestBits = 8
	mostBits   = 15
)

// readOffers parses a value of Sec-WebSocket-Extensions, ignoring unknown extensions and malformed offers
// (RFC 6455 9.1, RFC 7692 5.1).
func (d *Deflate) readOffers(value []byte, context bool) {
	for another := true; another && !d.On(); {
		var offer []byte
		offer, value, another = octet.CutList(value)
		*d = readOffer(offer, context)
	}
}

// Parameters of an offer; each may occur once.
const (
	serverNoContext = 1 << iota
	clientNoContext
	serverBits
	clientBits
)

func readOffer(offer []byte, context bool) (d Deflate) {
	name, rest, more := octet.CutParameters(offer)
	if string(name) != "permessage-deflate" {
		return Deflate{}
	}
	d.WindowBits = mostBits
	seen, received := 0, uint8(mostBits)
	for more {
		var parameter []byte
		parameter, rest, more = octet.CutParameters(rest)
		which, bits := readParameter(parameter)
		if which == 0 || seen&which != 0 {
			return Deflate{}
		}
		seen |= which
		switch {
		case which == serverBits:
			d.WindowBits = bits
		case which == clientBits && bits != 0:
			received = bits
		}
	}
	if context && seen&serverNoContext == 0 {
		d.KeepsSent, d.WindowBits = true, min(d.WindowBits, limits.ContextBits)
	}
	if context && seen&clientNoContext == 0 && seen&clientBits != 0 {
		d.ReceivedBits = min(received, limits.ContextBits)
	}
	return d
}

// readParameter returns 0 for an unknown or malformed parameter.
func readParameter(parameter []byte) (which int, bits uint8) {
	name, value, hasValue := octet.CutValue(parameter)
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
	if !hasValue && which == clientBits { // the peer lets the server choose
		return which, 0
	}
	n, err := strconv.ParseUint(string(value), 10, 8)
	if err != nil || n < fewestBits || n > mostBits || value[0] == '0' {
		return 0, 0
	}
	return which, uint8(n)
}

// appendField appends the response field that accepts the offer.
func (d Deflate) appendField(dst []byte) []byte {
	if !d.On() {
		return dst
	}
	dst = append(dst, "sec-websocket-extensions: permessage-deflate"...)
	if !d.KeepsSent {
		dst = append(dst, "; server_no_context_takeover"...)
	}
	if d.ReceivedBits == 0 {
		dst = append(dst, "; client_no_context_takeover"...)
	} else {
		dst = appendBits(dst, "; client_max_window_bits=", d.ReceivedBits)
	}
	if d.WindowBits < mostBits {
		dst = appendBits(dst, "; server_max_window_bits=", d.WindowBits)
	}
	return append(dst, "\r\n"...)
}

func appendBits(dst []byte, parameter string, bits uint8) []byte {
	return strconv.AppendUint(append(dst, parameter...), uint64(bits), 10)
}
