// What counts as one address.

package addresses

import (
	"encoding/binary"

	"saltare/gocore/internal/handoff"
)

// Key identifies an IPv4 address, or a network of 64 bits of IPv6: a client can use all addresses of its network. It is never 0.
type Key uint64

// ipv4 is a prefix in which there are no IPv6 networks.
const ipv4 = 1 << 32

// KeyOf is the key of an IP address.
func KeyOf(a *handoff.Address) Key {
	ip := a.Octets()
	if len(ip) == 4 {
		return ipv4 | Key(binary.BigEndian.Uint32(ip))
	}
	return max(1, Key(binary.BigEndian.Uint64(ip))) // ::/64 has only ::1
}
