// Field names that are known by number, found by one multiplication. per request

package http1

import "math/bits"

// IDs of the fields that this package itself reads; they come first in KnownNames.
const (
	idHost = 1 + iota
	idContentLength
	idTransferEncoding
	idConnection
	idExpect
	idUpgrade
	idsRead // the first ID that only the app cares about
)

// KnownNames are the request field names met most, in lower case; the index is Field.ID. The
// bridge keeps one Python bytes object for each, so a name costs it 33 octets and its length.
// At most 31 octets each, as lookup compares four words.
var KnownNames = [...]string{
	"",
	"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade",
	"user-agent", "accept", "accept-encoding", "accept-language", "accept-charset",
	"content-type", "content-encoding", "cookie", "authorization", "origin", "referer",
	"cache-control", "pragma", "range", "if-range", "if-match", "if-none-match",
	"if-modified-since", "if-unmodified-since", "keep-alive", "te", "trailer", "via", "dnt", "priority",
	"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
	"x-real-ip", "x-request-id", "x-requested-with", "x-csrf-token", "x-api-key",
	"traceparent", "tracestate", "upgrade-insecure-requests",
	"sec-fetch-site", "sec-fetch-mode", "sec-fetch-user", "sec-fetch-dest",
	"sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
	"access-control-request-method", "access-control-request-headers",
}

const (
	maxKnownName = 31
	multiplier   = 0x97f4206bda574975 // gives every known name a slot of its own; a test says so and finds others
)

// name is a field name as words: its first and its last eight octets, which overlap up to 16, and
// those between. Shorter than eight, first and last are the same, filled with zeros. Names of
// different lengths may have the same words.
type name struct{ first, last, second, third, length uint64 }

func (n *name) slot() uint8 { return uint8(n.mix() * multiplier >> 56) }

func (n *name) mix() uint64 { return n.first ^ bits.RotateLeft64(n.last, 29) }

var knownWords, knownSlots = knownTables()

func knownTables() (words [len(KnownNames)]name, slots [256]uint8) {
	for id, s := range KnownNames {
		if id == 0 {
			continue
		}
		padded := make([]byte, maxKnownName+1)
		copy(padded, s)
		words[id] = nameOf(padded, 0, len(s))
		slots[words[id].slot()] = uint8(id)
	}
	return words, slots
}

// nameOf reads b[i:i+n], n from 1 to 31, as a lower-cased name; 8 octets from i must be in b.
func nameOf(b []byte, i, n int) (w name) {
	w.first, w.length = lower(load(b, i)), uint64(n)
	if n < 8 {
		w.first &= 1<<(8*n) - 1
		w.last = w.first
		return w
	}
	w.last = lower(load(b, i+n-8))
	if n > 16 {
		w.second = lower(load(b, i+8))
	}
	if n > 24 {
		w.third = lower(load(b, i+16))
	}
	return w
}

// put writes the name over b[i:i+n].
func (w *name) put(b []byte, i, n int) {
	if n < 8 {
		store(b, i, load(b, i)&^(1<<(8*n)-1)|w.first)
		return
	}
	store(b, i, w.first)
	store(b, i+n-8, w.last)
	if n > 16 {
		store(b, i+8, w.second)
	}
	if n > 24 {
		store(b, i+16, w.third)
	}
}

// lookup returns the ID of the name, 0 if it is not known.
func (w *name) lookup() uint32 {
	id := knownSlots[w.slot()]
	if knownWords[id] != *w {
		return 0
	}
	return uint32(id)
}
