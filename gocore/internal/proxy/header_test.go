// PROXY headers, whole and in pieces; go-proxyproto is the judge.

package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

const both = Version1 | Version2

// v2 is a header of version 2.
func v2(command, family byte, content string) string {
	return string(signature) + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(content)))) + content
}

const (
	inet  = "\xc0\x00\x02\x01\x0a\x00\x00\x09\x12\x67\x01\xbb" // 192.0.2.1:4711 to 10.0.0.9:443
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x01\xbb"
	tlv   = "\x03\x00\x04abcd\xea\x00\x0bfour-octets"
)

var unixPaths = string(make([]byte, unixBytes))

// what the header says: the client and the server, "connection" if nothing, or what is wrong.
var headers = []struct{ header, want string }{
	{"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\n", "192.0.2.1 port 4711 to 10.0.0.9 port 443"},
	{"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", "2001:db8::1 port 4711 to 2001:db8::2 port 443"},
	{"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 0\r\n", "::ffff:192.0.2.1 port 1 to ::1"},
	{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 port 65535 to 255.255.255.255 port 65535"},
	{"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "malformed PROXY line"},
	{"PROXY UNKNOWN\r\n", "connection"},
	{"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "connection"},
	{"PROXY UNKNOWN anything at all\r\n", "connection"},
	{"PROXY UNKNOWN \n\r\n", "malformed PROXY line"},
	{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 4711\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443 \r\n", "malformed PROXY line"},
	{"PROXY TCP4  192.0.2.1 10.0.0.9 4711 443\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 04711 443\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 4711 65536\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 -1 443\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\n\r\n", "malformed PROXY line"},
	{"PROXY TCP4 192.0.2.256 10.0.0.9 4711 443\r\n", "malformed PROXY line"},
	{"PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n", "malformed PROXY line"},
	{"PROXY TCP6 192.0.2.1 10.0.0.9 4711 443\r\n", "malformed PROXY line"},
	{"PROXY TCP5 192.0.2.1 10.0.0.9 4711 443\r\n", "malformed PROXY line"},
	{"PROXY tcp4 192.0.2.1 10.0.0.9 4711 443\r\n", "malformed PROXY line"},
	{"PROXY \r\n", "malformed PROXY line"},
	{"PROXY " + strings.Repeat("x", 110), "PROXY line too long"},
	{"proxy TCP4 192.0.2.1 10.0.0.9 4711 443\r\n", "no PROXY header"},
	{"GET / HTTP/1.1\r\n\r\n", "no PROXY header"},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY header"},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "no PROXY header"},
	{"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "no PROXY header"},
	{v2(0x21, 0x11, inet), "192.0.2.1 port 4711 to 10.0.0.9 port 443"},
	{v2(0x21, 0x12, inet), "192.0.2.1 port 4711 to 10.0.0.9 port 443"},
	{v2(0x21, 0x11, inet+tlv), "192.0.2.1 port 4711 to 10.0.0.9 port 443"},
	{v2(0x21, 0x21, inet6), "2001:db8::1 port 4711 to 2001:db8::2 port 443"},
	{v2(0x21, 0x21, inet6+tlv), "2001:db8::1 port 4711 to 2001:db8::2 port 443"},
	{v2(0x21, 0x31, unixPaths), "unix to unix"},
	{v2(0x21, 0x31, unixPaths+tlv), "unix to unix"},
	{v2(0x21, 0x00, ""), "connection"},
	{v2(0x21, 0x00, tlv), "connection"},
	{v2(0x20, 0x00, ""), "connection"},
	{v2(0x20, 0x11, inet), "connection"},
	{v2(0x20, 0x11, ""), "connection"},
	{v2(0x21, 0x11, inet[:11]), "PROXY header without its addresses"},
	{v2(0x21, 0x21, inet), "PROXY header without its addresses"},
	{v2(0x21, 0x31, inet6), "PROXY header without its addresses"},
	{v2(0x22, 0x11, inet), "PROXY header with an unknown version or command"},
	{v2(0x11, 0x11, inet), "PROXY header with an unknown version or command"},
	{v2(0x21, 0x13, inet), "PROXY header with an unknown family"},
	{v2(0x21, 0x10, inet), "PROXY header with an unknown family"},
	{v2(0x21, 0x41, inet), "PROXY header with an unknown family"},
	{v2(0x21, 0x01, inet), "PROXY header with an unknown family"},
	{v2(0x21, 0x11, inet+strings.Repeat("x", limits.MaxProxyHeaderBytes-fixedBytes-len(inet))), "192.0.2.1 port 4711 to 10.0.0.9 port 443"},
	{v2(0x21, 0x11, inet+strings.Repeat("x", limits.MaxProxyHeaderBytes-fixedBytes-len(inet)+1)), "PROXY header too long"},
}

func said(h *Header, bad string) string {
	switch {
	case bad != "":
		return bad
	case h.Known:
		return shown(&h.Client) + " to " + shown(&h.Server)
	}
	return "connection"
}

// Whatever is behind a header is not read, and a header that is cut at any octet is either incomplete or already refused.
func TestHeadersSplitAtEveryOctet(t *testing.T) {
	for _, c := range headers {
		size := 0 // of a header that is accepted
		for _, behind := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\r\n", "\x00"} {
			h, n, bad := ParseHeader([]byte(c.header+behind), both)
			if got := said(&h, bad); got != c.want || bad == "" && n != len(c.header) {
				t.Fatalf("%q: %d octets, %s; not %s", c.header, n, got, c.want)
			}
			size = n
		}
		refused := ""
		for at := range len(c.header) {
			part := c.header[:at]
			h, n, bad := ParseHeader([]byte(part), both)
			if n != 0 && bad == "" || refused != "" && bad == "" || h.Known {
				t.Fatalf("%q: %d octets, %s", part, n, said(&h, bad))
			}
			if refused = bad; bad != "" && size > 0 {
				t.Fatalf("%q was refused: %s", part, bad)
			}
		}
	}
}

func TestVersions(t *testing.T) {
	one, two := headers[0].header, v2(0x21, 0x11, inet)
	for accepted, want := range map[Versions][2]bool{both: {true, true}, Version1: {true, false}, Version2: {false, true}} {
		for i, header := range []string{one, two} {
			if _, n, bad := ParseHeader([]byte(header), accepted); (n > 0) != want[i] || (bad == "") != want[i] {
				t.Errorf("versions %b, %q: %d, %s", accepted, header, n, bad)
			}
		}
	}
}

// judge compares an accepted header with what go-proxyproto reads, which refuses long headers, and PROXY with an unspecified family.
func judge(t *testing.T, b []byte) {
	h, n, bad := ParseHeader(b, both)
	if n == 0 || bad != "" || n > 4096 || string(b[12:min(n, 14)]) == "\x21\x00" {
		if h != (Header{}) && bad != "" {
			t.Fatalf("%.200q: %s, but %+v", b, bad, h)
		}
		return
	}
	theirs, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b[:n])))
	if err != nil {
		t.Fatalf("%.200q: %s; go-proxyproto: %v", b[:n], said(&h, bad), err)
	}
	if !h.Known || h.Client.Family == handoff.FamilyUnix {
		if _, _, ok := theirs.TCPAddrs(); ok && theirs.Command.IsProxy() {
			t.Fatalf("%.200q: %s; go-proxyproto: %+v", b[:n], said(&h, bad), theirs)
		}
		return
	}
	for _, one := range []struct {
		ours   handoff.Address
		theirs net.Addr
	}{{h.Client, theirs.SourceAddr}, {h.Server, theirs.DestinationAddr}} {
		port, err := netip.ParseAddrPort(one.theirs.String())
		if err != nil || port.Addr().Unmap() != netipOf(&one.ours).Unmap() || port.Port() != one.ours.Port {
			t.Fatalf("%.200q: %s; go-proxyproto: %s", b[:n], shown(&one.ours), one.theirs)
		}
	}
}

func TestHeadersAsGoProxyprotoReadsThem(t *testing.T) {
	for _, c := range headers {
		judge(t, []byte(c.header))
	}
}

// Headers that go-proxyproto writes.
func TestHeadersThatGoProxyprotoWrites(t *testing.T) {
	for _, version := range []byte{1, 2} {
		for _, ends := range [][2]string{{"192.0.2.1:1", "192.0.2.2:65535"}, {"[2001:db8::1]:1", "[2001:db8::2]:2"}} {
			source, target := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(ends[0])), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(ends[1]))
			b, err := proxyproto.HeaderProxyFromAddrs(version, source, target).Format()
			if err != nil {
				t.Fatal(err)
			}
			h, n, bad := ParseHeader(b, both)
			want := fmt.Sprintf("%s port %d to %s port %d", source.AddrPort().Addr(), source.Port, target.AddrPort().Addr(), target.Port)
			if got := said(&h, bad); n != len(b) || got != want {
				t.Errorf("%q: %s, not %s", b, got, want)
			}
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, c := range headers {
		f.Add([]byte(c.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		judge(t, b)
		h, n, bad := ParseHeader(b, both)
		if n > len(b) && bad == "" || n > limits.MaxProxyHeaderBytes && bad == "" {
			t.Fatalf("%d of %d octets", n, len(b))
		}
		for at := range b[:min(len(b), 300)] { // the result never depends on how it was split
			part, m, wrong := ParseHeader(b[:at:at], both)
			if wrong != "" && (bad == "") || m > 0 && wrong == "" && (m != n || part != h) {
				t.Fatalf("%q: %d, %s; whole: %d, %s", b[:at], m, wrong, n, bad)
			}
		}
	})
}
