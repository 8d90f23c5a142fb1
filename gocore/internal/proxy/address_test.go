// Addresses and lists of peers; net/netip is the judge.

package proxy

import (
	"net/netip"
	"testing"

	"saltare/gocore/internal/handoff"
)

func netipOf(a *handoff.Address) netip.Addr {
	if a.Family == handoff.FamilyInet {
		return netip.AddrFrom4([4]byte(a.IP[:4]))
	}
	return netip.AddrFrom16(a.IP)
}

// checkIP compares parseIP with net/netip, which also accepts zones.
func checkIP(t *testing.T, text string) {
	var a handoff.Address
	ok := parseIP([]byte(text), &a)
	want, err := netip.ParseAddr(text)
	if isRight := err == nil && want.Zone() == ""; ok != isRight {
		t.Fatalf("%q: %v, net/netip: %v, %v", text, ok, want, err)
	}
	if ok && netipOf(&a) != want {
		t.Fatalf("%q: %v, net/netip: %v", text, netipOf(&a), want)
	}
}

func TestAddresses(t *testing.T) {
	for _, text := range []string{
		"", "0.0.0.0", "255.255.255.255", "256.0.0.0", "1.2.3", "1.2.3.4.5", "1..2.3", ".1.2.3", "1.2.3.", "01.2.3.4", "1.2.3.00", "1.2.3.-4", "1.2.3.4 ",
		"::", "::1", "1::", ":::", ":", "::::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7:8", "::2:3:4:5:6:7:8",
		"1::3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7::8", "1::2::3", "12345::", "::g", "FfFf::aBcD", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "1.2.3.4::", "::ffff:1.2.3.4", "fe80::1%eth0", "::1%", "1:2:3:4:5::1.2.3.4", "::00001",
	} {
		checkIP(t, text)
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("2001:db8::1.2.3.4")
	f.Add("1.2.3.4")
	f.Fuzz(checkIP)
}

func TestLists(t *testing.T) {
	for _, c := range []struct {
		list, peer string
		has        bool
	}{
		{"", "127.0.0.1", false}, {"", "unix", false},
		{"*", "1.2.3.4", true}, {"*", "unix", true}, {"*", "::2", true}, {"1.1.1.1 *", "1.2.3.4", true},
		{"unix:", "unix", true}, {"unix:/run/a", "unix", true}, {"/run/a", "unix", true}, {"unix", "unix", false}, {"127.0.0.1", "unix", false},
		{"0.0.0.0/0", "1.2.3.4", true}, {"0.0.0.0/0", "::1", false}, {"0.0.0.0/0", "::ffff:1.2.3.4", true}, {"0.0.0.0/0", "unix", false},
		{"::/0", "::1", true}, {"::/0", "1.2.3.4", false}, {"::/0", "::ffff:1.2.3.4", false},
		{"10.0.0.0/9", "10.127.255.255", true}, {"10.0.0.0/9", "10.128.0.0", false}, {"10.1.2.3/31", "10.1.2.2", true}, {"10.1.2.3/31", "10.1.2.4", false},
		{"10.1.2.3/32", "10.1.2.3", true}, {"10.1.2.3/32", "10.1.2.2", false}, {"10.1.2.3/33", "10.1.2.3", false}, {"10.1.2.3/", "10.1.2.3", false},
		{"::ffff:10.0.0.0/104", "10.9.9.9", true}, {"::ffff:10.0.0.0/104", "11.9.9.9", false}, {"::ffff:10.0.0.0/95", "10.9.9.9", false},
		{"2001:db8::/33", "2001:db8:7fff::", true}, {"2001:db8::/33", "2001:db8:8000::", false}, {"2001:db8::/129", "2001:db8::", false},
	} {
		a := address(c.peer)
		if got := ParseList([]byte(c.list)).Has(&a); got != c.has {
			t.Errorf("%q has %s: %v", c.list, c.peer, got)
		}
	}
	var none *List
	if none.Has(&peer) {
		t.Error("no list has a peer")
	}
}
