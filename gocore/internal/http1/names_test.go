// Known field names: the hash table is perfect, and no other name is taken for a known one.

package http1

import (
	"math/rand/v2"
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
)

// idOf parses one field line, with and without octets behind it, so that both ways of reading a
// name are used.
func idOf(t *testing.T, name string) uint32 {
	t.Helper()
	var ids [2]uint32
	for i, rest := range []string{"", "x:" + strings.Repeat(" ", 64) + "\r\n"} {
		buf := []byte("GET / HTTP/1.0\r\n" + name + ":\r\n" + rest + "\r\n")
		h := Head{Limits: DefaultLimits, Fields: make([]Field, 0, limits.DefaultFields)}
		if n, r := ParseHead(&h, buf, 0); n != len(buf) {
			t.Fatalf("%q: %d, %v", name, n, r)
		}
		if got := h.Fields[0].Name.In(buf); string(got) != strings.ToLower(name) {
			t.Fatalf("%q became %q", name, got)
		}
		ids[i] = h.Fields[0].ID
	}
	if ids[0] != ids[1] {
		t.Fatalf("%q: ID %d at the end, %d before other octets", name, ids[0], ids[1])
	}
	return ids[0]
}

func TestKnownNames(t *testing.T) {
	for id, name := range []string{"", "host", "content-length", "transfer-encoding", "connection", "expect", "upgrade",
		"accept-encoding", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix",
		"x-real-ip"} {
		if constants := []int{0, idHost, idContentLength, idTransferEncoding, idConnection, idExpect, idUpgrade,
			idAcceptEncoding, Forwarded, XForwardedFor, XForwardedProto, XForwardedHost, XForwardedPort, XForwardedPrefix, XRealIP}; KnownNames[constants[id]] != name {
			t.Errorf("%q is not where its constant says", name)
		}
	}
	for id, name := range KnownNames[1:] {
		if id++; name != strings.ToLower(name) || len(name) > maxKnownName {
			t.Errorf("%q must be lower case and at most %d octets", name, maxKnownName)
		}
		if got := knownSlots[slot(nameWords[id].first, nameWords[id].last)]; int(got) != id {
			t.Fatalf("%q has the slot of %q: make the multiplier %#x", name, KnownNames[got], perfectMultiplier())
		}
		if name == "content-length" || name == "transfer-encoding" || name == "expect" || name == "host" {
			continue // an empty value is refused or has a meaning; idOf sends one
		}
		if got := idOf(t, name); int(got) != id {
			t.Errorf("%q: ID %d, want %d", name, got, id)
		}
		if got := idOf(t, strings.ToUpper(name)); int(got) != id {
			t.Errorf("upper case of %q: ID %d, want %d", name, got, id)
		}
	}
}

// perfectMultiplier tries numbers until one gives every name a slot of its own; it takes seconds.
func perfectMultiplier() uint64 {
	for {
		m, taken := rand.Uint64()|1, [256]bool{}
		perfect := true
		for _, k := range nameWords[1:] {
			slot := mix(k.first, k.last) * m >> 56
			perfect = perfect && !taken[slot]
			taken[slot] = true
		}
		if perfect {
			return m
		}
	}
}

func TestUnknownNames(t *testing.T) {
	for _, known := range KnownNames[1:] {
		variants := []string{known + "x", "x" + known, known[1:], known[:len(known)-1], known + known}
		for i := range known {
			variants = append(variants, known[:i]+"z"+known[i+1:], known[:i]+"_"+known[i:])
		}
		if len(known) > 8 { // same first and last words, another length
			variants = append(variants, known[:8]+known[len(known)-8:], known[:8]+"-"+known[len(known)-8:])
		}
		for _, v := range variants {
			if isKnown(v) || v == "" {
				continue
			}
			if id := idOf(t, v); id != 0 {
				t.Errorf("%q was taken for %q", v, KnownNames[id])
			}
		}
	}
}

func isKnown(name string) bool {
	for _, known := range KnownNames {
		if name == known {
			return true
		}
	}
	return false
}
