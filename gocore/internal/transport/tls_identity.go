//go:build full

// The certificates of both sides of a connection. They are kept once, however many connections there are between the same two.

package transport

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/tlsshake"
)

// identities are those of the connections, by number.
type identities struct {
	all   []identity
	free  []uint32
	known map[[32]byte]uint32 // by their key
}

type identity struct {
	*tlsshake.Identity
	connections int
}

// add counts one more connection of an identity.
func (i *identities) add(of *tlsshake.Identity) (number uint32) {
	number, found := i.known[of.Key]
	if !found {
		if last := len(i.free) - 1; last >= 0 {
			number, i.free = i.free[last], i.free[:last]
		} else {
			number = uint32(len(i.all))
			i.all = append(i.all, identity{})
		}
		i.known[of.Key], i.all[number].Identity = number, of
	}
	i.all[number].connections++
	return number
}

// drop counts one connection less.
func (i *identities) drop(number uint32) {
	one := &i.all[number]
	if one.connections--; one.connections > 0 {
		return
	}
	delete(i.known, one.Key)
	*one = identity{}
	i.free = append(i.free, number)
}

func (t *layer) describe(c *Conn) {
	s := t.of(c)
	who := t.who.all[s.who].Identity
	t.loop.Inbox.Hold(who)
	*t.loop.Inbox.NewTLS() = handoff.TLS{
		Key: who.Key, Version: uint32(s.Version), Suite: uint32(s.Suite),
		Server: handoff.Pointer(who.Server), ServerLen: uint32(len(who.Server)),
		Chain: handoff.Pointer(who.Chain), Lengths: handoff.Numbers(who.Lengths), NChain: uint32(len(who.Lengths)),
		Name: handoff.Pointer(who.Name), NameLen: uint32(len(who.Name)),
	}
}
