// What the fields of a request mean for the connection: host, body, persistence (RFC 9112 3.2, 6, 9).

package http1

import (
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// meaning collects what the fields read so far say, where a single field does not decide.
type meaning struct {
	hasHost          bool
	host             int // index of host in Fields
	coded            bool
	close, keepAlive bool // connection options
	upgrade          bool
	webSocket        bool // upgrade names it
	waits            bool // expect: 100-continue
}

// read processes a field whose ID is below idsRead; it is the last one in fields.
func (m *meaning) read(h *Head, id uint32, v []byte, index int) *message.Refusal {
	switch id {
	case idHost:
		return m.readHost(v, index)
	case idContentLength:
		return m.readLength(h, v)
	case idTransferEncoding:
		return m.readCoding(h, v)
	case idConnection:
		m.readConnection(v)
	case idUpgrade:
		m.webSocket = m.webSocket || h.Minor > 0 && octet.ListHas(v, "websocket")
	case idExpect:
		return m.readExpect(h, v)
	case idAcceptEncoding:
		h.AcceptsCodings = h.AcceptsCodings || namesCoding(v)
	default:
		h.Proxied = true
	}
	return nil
}

// readHost accepts one well-formed host; in 1.0 it may be missing (RFC 9112 3.2).
func (m *meaning) readHost(v []byte, index int) *message.Refusal {
	if m.hasHost {
		return twoHosts
	}
	if !ValidHost(v) {
		return badHost
	}
	m.hasHost, m.host = true, index
	return nil
}

// readLength accepts digits, once (RFC 9110 8.6). RFC 9112 6.3 allows equal repetitions, but a peer that sends two is broken or an
// attacker.
func (m *meaning) readLength(h *Head, v []byte) *message.Refusal {
	if m.coded {
		return lengthAndCoding
	}
	if h.ContentLength >= 0 {
		return twoLengths
	}
	n, r := parseLength(v)
	h.ContentLength = n
	return r
}

func parseLength(v []byte) (n int64, r *message.Refusal) {
	n, ok, fits := octet.ParseLength(v)
	switch {
	case !ok:
		return -1, badLength
	case !fits:
		return n, hugeLength
	}
	return n, nil
}

// readCoding accepts only chunked, in 1.1, without a length. RFC 9112 6.1 would let transfer-encoding override a length, but a peer
// that sends both tries to make two recipients disagree.
func (m *meaning) readCoding(h *Head, v []byte) *message.Refusal {
	switch {
	case h.Minor == 0:
		return codingInOld
	case m.coded:
		return twoCodings
	case h.ContentLength >= 0:
		return lengthAndCoding
	}
	m.coded = true
	h.Chunked = octet.EqualFold(v, "chunked")
	if h.Chunked {
		return nil
	}
	return judgeCodings(v)
}

// judgeCodings distinguishes a well-formed list of unsupported codings (501) from one that leaves the length of the body open (400)
// (RFC 9112 6.1, 6.3).
func judgeCodings(v []byte) *message.Refusal {
	for {
		coding, rest, another := octet.CutList(v)
		if !another {
			if octet.EqualFold(coding, "chunked") {
				return unknownCoding
			}
			return badCoding
		}
		if len(coding) == 0 || octet.EqualFold(coding, "chunked") {
			return badCoding
		}
		v = rest
	}
}

func (m *meaning) readConnection(v []byte) {
	for another := true; another; {
		var option []byte
		option, v, another = octet.CutList(v)
		switch {
		case octet.EqualFold(option, "close"):
			m.close = true
		case octet.EqualFold(option, "keep-alive"):
			m.keepAlive = true
		case octet.EqualFold(option, "upgrade"):
			m.upgrade = true
		}
	}
}

// readExpect ignores expectations of 1.0 clients (RFC 9110 10.1.1).
func (m *meaning) readExpect(h *Head, v []byte) *message.Refusal {
	if h.Minor == 0 {
		return nil
	}
	if !octet.EqualFold(v, "100-continue") {
		return unknownExpect
	}
	m.waits = true
	return nil
}

// namesCoding tells whether a list of codings names one besides identity (RFC 9110 12.5.3). Weights do not matter: many apps look for
// the name of a coding only.
func namesCoding(v []byte) bool {
	for another := true; another; {
		var element []byte
		element, v, another = octet.CutList(v)
		coding, _, _ := octet.CutParameters(element)
		if len(coding) > 0 && !octet.EqualFold(coding, "identity") {
			return true
		}
	}
	return false
}

// derive derives the results once all fields are read.
func (h *Head) derive(b []byte, m *meaning) *message.Refusal {
	if h.Minor == 1 && !m.hasHost {
		return noHost
	}
	if m.hasHost && h.authority.Len > 0 {
		h.Fields[m.host].Value = h.authority // RFC 9112 3.2.2
	}
	hasBody := h.Chunked || h.ContentLength > 0
	h.KeepAlive = !m.close && (h.Minor == 1 || m.keepAlive) // RFC 9112 9.3
	h.ExpectContinue = m.waits && hasBody
	// After a body the octets of the two protocols would be hard to tell apart, so such a request stays plain HTTP, which RFC 9110 7.8
	// allows.
	h.UpgradeWebSocket = m.webSocket && m.upgrade && !hasBody && string(h.Method.In(b)) == "GET"
	return nil
}
