// Addresses written by peer.go equal those of net/netip.

package transport

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"saltare/gocore/internal/handoff"
)

func TestPeerIsTheStandardText(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1:1", "0.0.0.0:65535", "[::]:80", "[::1]:80", "[1::]:80", "[2001:db8::1]:443", "[1:0:3:4:5:6:7:8]:1", "[1:0:0:4:5:6:7:8]:1",
		"[1::4:0:0:7:8]:1", "[1:0:0:4::8]:1", "[0:0:3:4:5:6:7:8]:1", "[1:2:3:4:5:6::]:1", "[::ffff:192.0.2.1]:9", "[fe80::abcd]:0",
	} {
		checkPeer(t, netip.MustParseAddrPort(text))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var ip [16]byte
		for i := range ip {
			if random.IntN(3) == 0 {
				ip[i] = byte(random.Uint32())
			}
		}
		port := uint16(random.Uint32())
		checkPeer(t, netip.AddrPortFrom(netip.AddrFrom16(ip), port))
		checkPeer(t, netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[:4])), port))
	}
}

func checkPeer(t *testing.T, address netip.AddrPort) {
	t.Helper()
	var c Conn
	c.Client.Port, c.Client.Family = address.Port(), handoff.FamilyInet6
	c.Client.IP = address.Addr().As16()
	if address.Addr().Is4() {
		ip := address.Addr().As4()
		c.Client.Family = handoff.FamilyInet
		copy(c.Client.IP[:], ip[:])
	}
	want := netip.AddrPortFrom(address.Addr().Unmap(), address.Port()).String()
	if got := c.Peer(); got != want {
		t.Errorf("%v is shown as %q", want, got)
	}
}

func TestPeerOfAUnixSocket(t *testing.T) {
	var c Conn
	if got := c.Peer(); got != "unix socket" {
		t.Errorf("it is shown as %q", got)
	}
}
