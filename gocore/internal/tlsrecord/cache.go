// The keys of connections that are active. Making them takes 3 us and they occupy 1.6 KiB, ten times a session.

package tlsrecord

// Cache holds keys by session. The zero value is empty.
type Cache struct {
	all  []*cached
	hand int
}

type cached struct {
	Keys
	owner uint32 // 0: none
	used  uint32 // tick
}

// Of returns the keys of a session at tick now, valid until the next call. The cache grows while all its keys were used within the last
// fresh ticks, up to most.
func (c *Cache) Of(s *Session, now, fresh uint32, most int) *Keys {
	if i := int(s.slot); i < len(c.all) && c.all[i].owner == s.Owner {
		c.all[i].used = now
		return &c.all[i].Keys
	}
	i := c.room(now, fresh, most)
	one := c.all[i]
	one.owner, one.used = s.Owner, now
	s.slot = uint32(i)
	one.Make(s)
	return &one.Keys
}

// room is an entry for new keys: the next one that is free or was not used for a while, or a new one, or the next one.
func (c *Cache) room(now, fresh uint32, most int) int {
	const tries = 4
	for range min(tries, len(c.all)) {
		i := c.advance()
		if one := c.all[i]; one.owner == 0 || now-one.used > fresh {
			return i
		}
	}
	if len(c.all) < most {
		c.all = append(c.all, &cached{})
		return len(c.all) - 1
	}
	return c.advance()
}

func (c *Cache) advance() (i int) {
	i = c.hand % len(c.all)
	c.hand = i + 1
	return i
}

// Forget drops the keys of a session that has ended.
func (c *Cache) Forget(s *Session) {
	if i := int(s.slot); i < len(c.all) && c.all[i].owner == s.Owner {
		*c.all[i] = cached{}
	}
}

// Clear drops all keys.
func (c *Cache) Clear() { *c = Cache{} }

// Len is the number of entries.
func (c *Cache) Len() int { return len(c.all) }
