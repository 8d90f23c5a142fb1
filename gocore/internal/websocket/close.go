// Why a websocket ends: close codes (RFC 6455 7.4), and all errors of a peer.

package websocket

import (
	"encoding/binary"

	"saltare/gocore/internal/limits"
)

// Codes that the server sends, and two that are never sent.
const (
	NoCode         = 1005 // stands for a Close without a code
	Vanished       = 1006 // stands for a connection that ended without a Close
	ProtocolError  = 1002
	BadPayload     = 1007
	TooBig         = 1009
	ServerError    = 1011
	ServiceRestart = 1012
)

// Failure is an error of the peer that fails the connection with Code (RFC 6455 7.1.7). All failures are package variables.
type Failure struct {
	Code    uint16
	Reason  string // sent to the peer and logged
	Section string // the rule that was violated
}

// Frames.
var (
	reservedBits    = &Failure{ProtocolError, "a reserved bit is set", "RFC 6455 5.2"}
	reservedOpcode  = &Failure{ProtocolError, "the opcode is reserved", "RFC 6455 5.2"}
	noMask          = &Failure{ProtocolError, "the frame is not masked", "RFC 6455 5.1"}
	longLength      = &Failure{ProtocolError, "the length is not in its shortest form", "RFC 6455 5.2"}
	hugeLength      = &Failure{ProtocolError, "the length has its highest bit set", "RFC 6455 5.2"}
	longControl     = &Failure{ProtocolError, "the control frame has over 125 bytes", "RFC 6455 5.5"}
	controlFragment = &Failure{ProtocolError, "the control frame is fragmented", "RFC 6455 5.5"}
	nothingToGoOn   = &Failure{ProtocolError, "a continuation of no message", "RFC 6455 5.4"}
	notContinued    = &Failure{ProtocolError, "a new message within a fragmented one", "RFC 6455 5.4"}
)

// Payloads.
var (
	tooBig     = &Failure{TooBig, "the message is over ws_max_size", "RFC 6455 7.4.1"}
	notUTF8    = &Failure{BadPayload, "the text is not UTF-8", "RFC 6455 8.1"}
	halfCode   = &Failure{ProtocolError, "half a close code", "RFC 6455 5.5.1"}
	badCode    = &Failure{ProtocolError, "the close code is not for the wire", "RFC 6455 7.4"}
	badReason  = &Failure{BadPayload, "the close reason is not UTF-8", "RFC 6455 5.5.1"}
	badDeflate = &Failure{BadPayload, "the message does not inflate", "RFC 7692 7.2.2"}
)

// codeOnWire tells whether a Close may carry the code: registered codes, and those of libraries and apps.
func codeOnWire(code uint16) bool {
	switch {
	case code < 1000 || code > 4999:
		return false
	case code >= 3000:
		return true
	}
	return code <= 1003 || 1007 <= code && code <= 1014
}

// readClose parses the payload of a Close (RFC 6455 5.5.1).
func readClose(payload []byte) (code uint16, reason []byte, failure *Failure) {
	switch len(payload) {
	case 0:
		return NoCode, nil, nil
	case 1:
		return 0, nil, halfCode
	}
	code, reason = binary.BigEndian.Uint16(payload), payload[2:]
	switch {
	case !codeOnWire(code):
		return 0, nil, badCode
	case !validUTF8(reason):
		return 0, nil, badReason
	}
	return code, reason, nil
}

// AppendClose appends a Close; with NoCode, a Close without a code. A reason that is too long is cut between two characters.
func AppendClose(dst []byte, code uint16, reason []byte) []byte {
	if code == NoCode {
		return AppendHeader(dst, OpClose, 0)
	}
	if len(reason) > limits.MaxReasonBytes {
		end := limits.MaxReasonBytes
		for end > 0 && reason[end]&0xc0 == 0x80 {
			end--
		}
		reason = reason[:end]
	}
	dst = AppendHeader(dst, OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}
