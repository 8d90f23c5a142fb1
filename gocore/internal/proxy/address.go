// Addresses as proxies write them. (net/netip would cost each process 38 KiB.)

package proxy

import (
	"bytes"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/octet"
)

// parseNode parses an address, which may have a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80. Without
// a port, or with an obfuscated one (RFC 7239 6.2), the port is 0.
func parseNode(b []byte) (a handoff.Address, ok bool) {
	if len(b) == 0 {
		return a, false
	}
	ip, port := b, []byte(nil)
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return a, false
		}
		ip, port = b[1:end], b[end+1:]
	} else if colon := bytes.IndexByte(b, ':'); colon >= 0 && bytes.IndexByte(b[colon+1:], ':') < 0 {
		ip, port = b[:colon], b[colon:]
	}
	if !parseIP(ip, &a) || b[0] == '[' && a.Family != handoff.FamilyInet6 {
		return a, false
	}
	if len(port) == 0 {
		return a, true
	}
	if port[0] != ':' {
		return a, false
	}
	if port = port[1:]; isObfuscated(port) {
		return a, true
	}
	a.Port, ok = parseNumber(port, 65535)
	return a, ok
}

// isObfuscated: an underscore and at least one letter, digit, dot, underscore or hyphen (RFC 7239 6.3).
func isObfuscated(b []byte) bool {
	if len(b) < 2 || b[0] != '_' {
		return false
	}
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// parseNumber parses up to five digits.
func parseNumber(b []byte, most uint16) (n uint16, ok bool) {
	value := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	if len(b) == 0 || len(b) > 5 || value > int(most) {
		return 0, false
	}
	return uint16(value), true
}

// parseIP parses an address alone: four decimal numbers, or RFC 4291 2.2 without a zone. The port stays.
func parseIP(b []byte, to *handoff.Address) bool {
	var ip [16]byte
	family := uint16(handoff.FamilyInet)
	ok := false
	if bytes.IndexByte(b, ':') < 0 {
		ok = parseIPv4(b, ip[:4])
	} else {
		family, ok = handoff.FamilyInet6, parseIPv6(b, &ip)
	}
	if ok {
		to.IP, to.Family = ip, family
	}
	return ok
}

// parseIPv4 accepts no leading zeros, which some readers take for octal numbers.
func parseIPv4(b, to []byte) bool {
	for i := range to {
		part := b
		if i < len(to)-1 {
			dot := bytes.IndexByte(b, '.')
			if dot < 0 {
				return false
			}
			part, b = b[:dot], b[dot+1:]
		}
		n, ok := parseNumber(part, 255)
		if !ok || len(part) > 1 && part[0] == '0' {
			return false
		}
		to[i] = byte(n)
	}
	return true
}

func parseIPv6(b []byte, to *[16]byte) bool {
	at, gap := 0, -1 // octets written; where "::" stands
	if bytes.HasPrefix(b, []byte("::")) {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		end := bytes.IndexByte(b, ':')
		if end < 0 {
			end = len(b)
		}
		switch group := b[:end]; {
		case end == len(b) && bytes.IndexByte(group, '.') >= 0:
			if at > 12 || !parseIPv4(group, to[at:at+4]) {
				return false
			}
			at += 4
		case at > 14 || !parseGroup(group, to[at:at+2]):
			return false
		default:
			at += 2
		}
		if b = b[end:]; len(b) == 0 {
			break
		}
		if b = b[1:]; len(b) == 0 { // a single colon at the end
			return false
		}
		if b[0] == ':' {
			if gap >= 0 {
				return false
			}
			gap, b = at, b[1:]
		}
	}
	if gap < 0 {
		return at == 16
	}
	if at > 14 { // "::" stands for at least one group
		return false
	}
	moved := copy(to[16-(at-gap):], to[gap:at])
	clear(to[gap : 16-moved])
	return true
}

func parseGroup(b, to []byte) bool {
	value := 0
	for _, c := range b {
		if octet.Class[c]&octet.HexDig == 0 {
			return false
		}
		digit := int(c | 0x20)
		if digit -= '0'; digit > 9 {
			digit -= 'a' - '0' - 10
		}
		value = value<<4 | digit
	}
	if len(b) == 0 || len(b) > 4 {
		return false
	}
	to[0], to[1] = byte(value>>8), byte(value)
	return true
}
