// permessage-deflate, agreed on (RFC 7692 7.1): of a peer's offers, the first that we can keep to.
//
// Without context we ask for no takeover in both directions, which a server may (RFC 7692 7.1.1): then neither side holds a window
// between two messages. With it, windows are as small as limits.ContextBits says; a peer that can't be told so of its own
// (it did not offer client_max_window_bits) goes without. What inflates and deflates is shared by all connections either way.

package websocket

import (
	"strconv"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/octet"
)

// Deflate is what was agreed on; the zero value is nothing.
type Deflate struct {
	WindowBits   uint8 // of what we send, from 8 to 15; 0: messages are not compressed
	ReceivedBits uint8 // of the context kept of what the peer sends; 0: each message is compressed by itself
	KeepsSent    bool  // context of what we send, within WindowBits
}

// On tells whether messages may be compressed.
func (d Deflate) On() bool { return d.WindowBits != 0 }

// KeepsContext tells whether anything is kept between two messages.
func (d Deflate) KeepsContext() bool { return d.KeepsSent || d.ReceivedBits != 0 }

const (
	fewestBits = 8
	mostBits   = 15
)

// readOffers takes a value of Sec-WebSocket-Extensions. Extensions that are unknown and offers that are malformed are passed over
// (RFC 6455 9.1, RFC 7692 5.1).
func (d *Deflate) readOffers(value []byte, context bool) {
	for another := true; another && !d.On(); {
		var offer []byte
		offer, value, another = octet.CutList(value)
		*d = readOffer(offer, context)
	}
}

// parameters of an offer; each may stand there once.
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

// readParameter returns 0 for one that is unknown or malformed.
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
