// The peers who are believed: a list of addresses, networks and names.

// Package proxy is what a proxy says about its client: fields of a request, or the PROXY protocol's header in front of a connection. It
// does no input or output, and nothing in it allocates except ParseList and ParseOrder.
//
//	trust.go    who is believed
//	address.go  addresses as proxies write them
//	origin.go   the fields of a request, and what they say together
//	list.go     X-Forwarded-For and the other lists that proxies append to
//	element.go  Forwarded (RFC 7239)
//	header.go   the PROXY protocol, version 1 and 2
package proxy

import (
	"bytes"

	"saltare/gocore/internal/handoff"
)

// List is the peers who are believed. The zero value believes nobody.
type List struct {
	all      bool
	unix     bool // peers without an IP address
	networks []network
	names    [][]byte // of hops, as fields may have them in place of addresses
}

// network is an address and the number of its bits that count.
type network struct {
	ip   []byte // 4 or 16 octets
	bits int
}

// ParseList parses lines. Each is "*" for everybody, an address, a network such as 10.0.0.0/8, "unix:" or a path for peers on Unix
// sockets, or a name that fields may have in place of an address.
func ParseList(lines []byte) *List {
	l := &List{}
	for line := range bytes.FieldsSeq(lines) {
		if n, ok := parseNetwork(line); ok {
			l.networks = append(l.networks, n)
			continue
		}
		l.all = l.all || string(line) == "*"
		l.unix = l.unix || line[0] == '/' || bytes.HasPrefix(line, []byte("unix:"))
		l.names = append(l.names, line)
	}
	return l
}

func parseNetwork(text []byte) (n network, ok bool) {
	address, bits, hasBits := bytes.Cut(text, []byte("/"))
	var a handoff.Address
	if !parseIP(address, &a) {
		return n, false
	}
	most := 128
	if a.Family == handoff.FamilyInet {
		most = 32
	}
	n = network{bytes.Clone(a.Octets()), most}
	if hasBits {
		size, ok := parseNumber(bits, uint16(most))
		if !ok {
			return n, false
		}
		n.bits = int(size)
	}
	n.bits -= most - 8*len(n.ip) // ::ffff:10.0.0.0/104 is 10.0.0.0/8
	return n, n.bits >= 0
}

// Has tells whether a peer with that address is believed.
func (l *List) Has(a *handoff.Address) bool {
	if l == nil {
		return false
	}
	if l.all || a.Family == handoff.FamilyUnix {
		return l.all || l.unix
	}
	ip := a.Octets()
	for i := range l.networks {
		if l.networks[i].has(ip) {
			return true
		}
	}
	return false
}

func (n *network) has(ip []byte) bool {
	whole, rest := n.bits/8, n.bits%8
	return len(ip) == len(n.ip) && bytes.Equal(ip[:whole], n.ip[:whole]) && (rest == 0 || (ip[whole]^n.ip[whole])>>(8-rest) == 0)
}

// hasName tells whether the list has a hop's name.
func (l *List) hasName(text []byte) bool {
	for _, name := range l.names {
		if bytes.Equal(name, text) {
			return true
		}
	}
	return false
}
