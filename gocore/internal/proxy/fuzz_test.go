// Whatever a client sends, it does not change what the proxy in front of the server has appended.

package proxy

import (
	"strings"
	"testing"
)

func FuzzFields(f *testing.F) {
	for _, c := range corpus {
		f.Add(strings.SplitN(c.lines[0], ":", 2)[1])
	}
	f.Fuzz(func(t *testing.T, forged string) {
		if len(forged) > 8<<10 || strings.ContainsFunc(forged, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return
		}
		for _, fields := range []string{usual, first, every} {
			r := rules(fields)
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"} {
				r.origin(t, peer, name+": "+forged)
				if got := r.origin(t, address("192.0.2.9:5"), name+": "+forged); got != "" {
					t.Fatalf("%s: %q of a peer that is not believed: %s", name, forged, got)
				}
			}
		}
		appended := map[string][]string{
			"X-Forwarded-For: ": {"192.0.2.1", "[2001:db8::1]:5"}, "Forwarded: ": {"for=192.0.2.1;proto=https", `for="[2001:db8::1]:5";proto=https`},
		}
		for name, values := range appended {
			for _, value := range values {
				r := rules(first)
				want := r.origin(t, peer, name+value)
				if got := r.origin(t, peer, name+forged, name+value); got != want {
					t.Fatalf("%s%q in a line before %s: %s", name, forged, value, got)
				}
				if got := r.origin(t, peer, name+forged+", "+value); got != want && (got != "" || name != "Forwarded: ") {
					t.Fatalf("%s%q in front of %s: %s", name, forged, value, got)
				}
			}
		}
	})
}
