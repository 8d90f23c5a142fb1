// The PROXY protocol of HAProxy, version 1 (text) and 2 (binary): a header in front of everything else on a connection.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

package proxy

import (
	"bytes"
	"encoding/binary"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

// Versions is the versions of the PROXY protocol that are accepted; 0: the protocol is off.
type Versions uint8

const (
	Version1 Versions = 1 << iota
	Version2
)

// Header is a PROXY header: both ends of the connection that the proxy has accepted. A proxy that knows no IP addresses, because its
// client uses a Unix socket, says so by a Client without one.
type Header struct {
	Client, Server handoff.Address
	Known          bool // false: the proxy says nothing, as for its own health checks, and the addresses are those of the connection
}

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

const (
	prefix1    = "PROXY "
	longest1   = 107 // with CRLF; the longest that the protocol allows
	fixedBytes = 16  // of version 2: signature, command, family, length
)

// ParseHeader parses the header at the start of b. It reads no octet after the header.
//
// Returns n > 0: a header of n octets. n == 0 and bad empty: the header is incomplete; call again with more. Otherwise bad says what is
// wrong. The result depends only on the octets, never on how they were split.
func ParseHeader(b []byte, accepted Versions) (h Header, n int, bad string) {
	switch {
	case accepted&Version1 != 0 && begins(b, prefix1):
		return parse1(b)
	case accepted&Version2 != 0 && begins(b, string(signature)):
		return parse2(b)
	}
	return h, 0, "no PROXY header"
}

// begins tells whether b starts with the prefix, as far as it goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

func parse1(b []byte) (h Header, n int, bad string) {
	line := b[:min(len(b), longest1)]
	end := bytes.IndexByte(line, '\n') - 1
	switch {
	case end < 0 && len(line) == longest1:
		return h, 0, "PROXY line too long"
	case end < 0:
		return h, 0, ""
	case line[end] != '\r': // a bare LF, with which other readers end the line
		return h, 0, "malformed PROXY line"
	}
	words := line[len(prefix1):end]
	family, words, _ := bytes.Cut(words, []byte(" "))
	switch string(family) {
	case "UNKNOWN":
		return h, end + 2, ""
	case "TCP4":
		h.Known = h.read1(words, handoff.FamilyInet)
	case "TCP6":
		h.Known = h.read1(words, handoff.FamilyInet6)
	}
	if !h.Known {
		return Header{}, 0, "malformed PROXY line"
	}
	return h, end + 2, ""
}

// read1 reads two addresses and two ports, with a single space between them.
func (h *Header) read1(words []byte, family uint16) bool {
	client, words, _ := bytes.Cut(words, []byte(" "))
	server, words, _ := bytes.Cut(words, []byte(" "))
	clientPort, serverPort, _ := bytes.Cut(words, []byte(" "))
	return parseIP(client, &h.Client) && parseIP(server, &h.Server) && h.Client.Family == family && h.Server.Family == family &&
		parsePort(clientPort, &h.Client.Port) && parsePort(serverPort, &h.Server.Port)
}

// parsePort accepts no leading zeros.
func parsePort(b []byte, to *uint16) (ok bool) {
	*to, ok = parseNumber(b, 65535)
	return ok && (b[0] != '0' || len(b) == 1)
}

// The addresses of each family of version 2: of IPv4 and IPv6 two addresses and two ports, of Unix sockets two paths.
const (
	inetBytes  = 4 + 4 + 2 + 2
	inet6Bytes = 16 + 16 + 2 + 2
	unixBytes  = 108 + 108
)

func parse2(b []byte) (h Header, n int, bad string) {
	if len(b) > 12 && b[12] != 0x20 && b[12] != 0x21 {
		return h, 0, "PROXY header with an unknown version or command"
	}
	if len(b) > 13 && !isFamily(b[13]) {
		return h, 0, "PROXY header with an unknown family"
	}
	if len(b) < fixedBytes {
		return h, 0, ""
	}
	size := int(binary.BigEndian.Uint16(b[14:]))
	if n = fixedBytes + size; n > limits.MaxProxyHeaderBytes {
		return h, 0, "PROXY header too long"
	}
	local, family := b[12] == 0x20, b[13]>>4
	least := [...]int{0, inetBytes, inet6Bytes, unixBytes}[family]
	if !local && size < least {
		return h, 0, "PROXY header without its addresses"
	}
	if len(b) < n {
		return h, 0, ""
	}
	if local {
		return h, n, ""
	}
	at := b[fixedBytes:n] // after the addresses come TLVs, which are skipped
	switch family {
	case 1:
		h.read2(at, 4, handoff.FamilyInet)
	case 2:
		h.read2(at, 16, handoff.FamilyInet6)
	case 3:
		h.Known = true
	}
	return h, n, ""
}

// isFamily: unspecified, or IPv4, IPv6 or Unix with a stream or datagrams.
func isFamily(c byte) bool { return c == 0 || c>>4 >= 1 && c>>4 <= 3 && (c&0xf == 1 || c&0xf == 2) }

// read2 reads two addresses of so many octets, and two ports.
func (h *Header) read2(b []byte, octets int, family uint16) {
	h.Known = true
	for i, to := range [...]*handoff.Address{&h.Client, &h.Server} {
		copy(to.IP[:octets], b[i*octets:])
		to.Family, to.Port = family, binary.BigEndian.Uint16(b[2*octets+2*i:])
	}
}
