// Known field names, looked up with one multiplication.

package http1

import (
	"math/bits"

	"saltare/gocore/internal/octet"
)

// IDs of the fields that the core interprets; they come first in KnownNames.
const (
	idHost = 1 + iota
	idContentLength
	idTransferEncoding
	idConnection
	idExpect
	idUpgrade
	idAcceptEncoding
	// Fields that proxies set, which package proxy interprets.
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XForwardedPort
	XForwardedPrefix
	XRealIP
	idsRead // the first ID that only the app interprets
)

// KnownNames are the most common request field names, in lower case; the index is Field.ID. The bridge keeps one Python bytes object
// for each, which costs 33 octets and the length of the name. At most 31 octets each, because lookup compares four words.
var KnownNames = [...]string{
	"",
	"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "accept-encoding",
	"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-real-ip",
	"user-agent", "accept", "accept-language", "accept-charset",
	"content-type", "content-encoding", "cookie", "authorization", "origin", "referer",
	"cache-control", "pragma", "range", "if-range", "if-match", "if-none-match",
	"if-modified-since", "if-unmodified-since", "keep-alive", "te", "trailer", "via", "dnt", "priority",
	"x-request-id", "x-requested-with", "x-csrf-token", "x-api-key",
	"traceparent", "tracestate", "upgrade-insecure-requests",
	"sec-fetch-site", "sec-fetch-mode", "sec-fetch-user", "sec-fetch-dest",
	"sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
	"access-control-request-method", "access-control-request-headers",
}

const (
	maxKnownName = 31
	multiplier   = 0x97f4206bda574975 // gives every known name its own slot; a test checks that and can find others
)

// nameAsWords is a name as words: its first and its last eight octets, which overlap up to length 16, and those in between. For names
// shorter than eight octets, first and last are equal and padded with zeros. Names of different lengths may have equal words.
type nameAsWords struct {
	first, last, second, third uint64
	length                     int
}

var nameWords, knownSlots = knownTables()

func knownTables() (names [len(KnownNames)]nameAsWords, slots [256]uint8) {
	for id, s := range KnownNames {
		if id == 0 {
			continue
		}
		padded := make([]byte, maxKnownName+1)
		copy(padded, s)
		first, last := ends(padded, 0, len(s))
		names[id] = nameAsWords{first, last, octet.Load(padded, 8), octet.Load(padded, 16), len(s)}
		slots[slot(first, last)] = uint8(id)
	}
	return names, slots
}

func slot(first, last uint64) uint8 { return uint8(mix(first, last) * multiplier >> 56) }

func mix(first, last uint64) uint64 { return first ^ bits.RotateLeft64(last, 29) }

// ends returns the first and the last word of the name b[i:i+n] in lower case. b must have eight octets from i.
func ends(b []byte, i, n int) (first, last uint64) {
	first = octet.Lower(octet.Load(b, i))
	if n < 8 {
		first &= 1<<(8*n) - 1
		return first, first
	}
	return first, octet.Lower(octet.Load(b, i+n-8))
}

// lookup makes the name b[i:i+n] lower case and returns its ID, or 0 if it is unknown. n is from 1 to 31, and b must have eight octets
// from i.
func lookup(b []byte, i, n int) uint32 {
	first, last := ends(b, i, n)
	id := knownSlots[slot(first, last)]
	k := &nameWords[id]
	if k.first != first || k.last != last || k.length != n || n > 16 && !k.middle(b, i) {
		return 0
	}
	if n < 8 {
		octet.Store(b, i, octet.Load(b, i)&^(1<<(8*n)-1)|first)
	} else {
		octet.Store(b, i, first)
		octet.Store(b, i+n-8, last)
	}
	return uint32(id)
}

// middle compares what lies between the ends of a name of more than 16 octets, and makes it lower case.
func (k *nameAsWords) middle(b []byte, i int) bool {
	if octet.Lower(octet.Load(b, i+8)) != k.second || k.length > 24 && octet.Lower(octet.Load(b, i+16)) != k.third {
		return false
	}
	octet.Store(b, i+8, k.second)
	if k.length > 24 {
		octet.Store(b, i+16, k.third)
	}
	return true
}
