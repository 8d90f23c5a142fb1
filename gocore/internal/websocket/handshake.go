// The handshake (RFC 6455 4.2): the request to upgrade, and the response fields that accept it.

package websocket

import (
	"encoding/base64"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// AcceptBytes is the length of the value of Sec-WebSocket-Accept.
const AcceptBytes = 28

// Handshake is the content of a request to upgrade.
type Handshake struct {
	Accept       [AcceptBytes]byte // proves that the server has read the key
	Subprotocols []http1.Span      // offered by the peer, in its order
	Deflate      Deflate           // of its offers, the first acceptable one
}

// Refused handshakes.
var (
	noKey     = &message.Refusal{Status: 400, Reason: "websocket handshake without sec-websocket-key", Section: "RFC 6455 4.2.1"}
	twoKeys   = &message.Refusal{Status: 400, Reason: "more than one sec-websocket-key", Section: "RFC 6455 4.2.1"}
	badKey    = &message.Refusal{Status: 400, Reason: "sec-websocket-key is not 16 octets in base64", Section: "RFC 6455 4.2.1"}
	otherThan = &message.Refusal{Status: 426, Reason: "websocket version other than 13", Section: "RFC 6455 4.2.2",
		Fields: "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"}
	badSubprotocol   = &message.Refusal{Status: 400, Reason: "a websocket subprotocol is not a token", Section: "RFC 6455 4.1"}
	ManySubprotocols = &message.Refusal{Status: 400, Reason: "too many websocket subprotocols", Section: "RFC 6455 4.1", Limit: limits.MaxSubprotocols}
)

// Shake parses the handshake in a head that has http1.Head.UpgradeWebSocket. It appends the subprotocols to spans, which grows to
// limits.MaxSubprotocols at most. With context, compression may keep context between messages.
func (hs *Handshake) Shake(head *http1.Head, buf []byte, spans []http1.Span, context bool) *message.Refusal {
	*hs = Handshake{Subprotocols: spans}
	keys, version := 0, false
	for _, f := range head.Fields {
		value := f.Value.In(buf)
		switch string(f.Name.In(buf)) {
		case "sec-websocket-key":
			if keys++; !hs.readKey(value) {
				return badKey
			}
		case "sec-websocket-version":
			version = string(value) == "13"
		case "sec-websocket-protocol":
			if refusal := hs.readSubprotocols(buf, f.Value); refusal != nil {
				return refusal
			}
		case "sec-websocket-extensions":
			hs.Deflate.readOffers(value, context)
		}
	}
	switch {
	case !version:
		return otherThan
	case keys == 0:
		return noKey
	case keys > 1:
		return twoKeys
	}
	return nil
}

const (
	keyBytes = 24 // 16 octets in base64
	magic    = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// readKey checks the key and computes Accept from it.
func (hs *Handshake) readKey(key []byte) bool {
	var octets [18]byte
	if len(key) != keyBytes {
		return false
	}
	if n, err := base64.StdEncoding.Decode(octets[:], key); err != nil || n != 16 {
		return false
	}
	var message [keyBytes + len(magic)]byte
	copy(message[copy(message[:], key):], magic)
	digest := sha1(message[:])
	base64.StdEncoding.Encode(hs.Accept[:], digest[:])
	return true
}

// readSubprotocols parses a list of tokens (RFC 6455 11.3.4), ignoring empty elements (RFC 9110 5.6.1.2).
func (hs *Handshake) readSubprotocols(buf []byte, value http1.Span) *message.Refusal {
	all := value.In(buf)
	for rest, another := all, true; another; {
		var element []byte
		at := len(all) - len(rest)
		element, rest, another = octet.CutList(rest)
		if len(element) == 0 {
			continue
		}
		if !octet.IsToken(element) {
			return badSubprotocol
		}
		if len(hs.Subprotocols) == limits.MaxSubprotocols {
			return ManySubprotocols
		}
		for all[at] == ' ' || all[at] == '\t' {
			at++
		}
		hs.Subprotocols = append(hs.Subprotocols, http1.Span{Off: value.Off + uint32(at), Len: uint32(len(element))})
	}
	return nil
}

// AppendFields appends the response fields that accept a handshake.
func AppendFields(dst []byte, accept *[AcceptBytes]byte, deflate Deflate) []byte {
	dst = append(dst, "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "...)
	dst = append(dst, accept[:]...)
	dst = append(dst, "\r\n"...)
	return deflate.appendField(dst)
}
