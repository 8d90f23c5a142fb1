// The address of a peer as logs show it. (net/netip would cost each process 38 KiB.)

package transport

import (
	"strconv"

	"saltare/gocore/internal/handoff"
)

// Peer is address and port.
func (c *Conn) Peer() string {
	if len(c.Client.Octets()) == 0 {
		return "unix socket"
	}
	return string(AppendAddress(make([]byte, 0, 64), &c.Client))
}

// AppendHost appends an address without its port; "unix" for a Unix socket. An IPv4-mapped IPv6 address is shown as IPv4, as in the scope.
func AppendHost(to []byte, a *handoff.Address) []byte {
	switch ip := a.Octets(); len(ip) {
	case 0:
		return append(to, "unix"...)
	case 4:
		return appendIPv4(to, ip)
	default:
		return appendIPv6(to, ip)
	}
}

// AppendAddress appends address and port, an IPv6 address in brackets; "unix" for a Unix socket.
func AppendAddress(to []byte, a *handoff.Address) []byte {
	switch ip := a.Octets(); len(ip) {
	case 0:
		return append(to, "unix"...)
	case 4:
		to = appendIPv4(to, ip)
	default:
		to = append(appendIPv6(append(to, '['), ip), ']')
	}
	return strconv.AppendUint(append(to, ':'), uint64(a.Port), 10)
}

func appendIPv4(to, ip []byte) []byte {
	for i, b := range ip {
		if i > 0 {
			to = append(to, '.')
		}
		to = strconv.AppendUint(to, uint64(b), 10)
	}
	return to
}

// appendIPv6 writes the form of RFC 5952 4: lower case, with "::" for the first of the longest runs of zeros.
func appendIPv6(to, ip []byte) []byte {
	const groups = 8
	group := func(i int) uint64 { return uint64(ip[2*i])<<8 | uint64(ip[2*i+1]) }
	start, length := groups, 1 // of the run of zeros; a single zero is written out
	for i := 0; i < groups; i++ {
		n := 0
		for i+n < groups && group(i+n) == 0 {
			n++
		}
		if n > length {
			start, length = i, n
		}
		i += n
	}
	for i := 0; i < groups; i++ {
		if i == start {
			to = append(to, "::"...)
			i += length - 1
			continue
		}
		if i > 0 && i != start+length {
			to = append(to, ':')
		}
		to = strconv.AppendUint(to, group(i), 16)
	}
	return to
}

// AppError logs a mistake of the app that is detected only here.
func (l *Loop) AppError(c *Conn, what string) {
	l.Journal.Error("error in the app's response to " + c.Peer() + ": " + what)
}
