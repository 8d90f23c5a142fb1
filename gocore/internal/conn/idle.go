// Room for a new connection, where there is none: what has closed already goes first, then the longest idle.  per connection

package conn

import (
	"slices"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// idler is a connection as it was when it was found to be idle.
type idler struct{ number, serial, since uint32 }

// idlers are the longest idle connections, the longest first, as a sweep over all records has found them. Every other
// connection is younger than these for as long as they stay idle, so the next ones to go are known without another sweep:
// finding one costs a look at 1/IdleCandidates of the records, and nothing while there is room.
type idlers struct {
	found []idler
	swept uint32 // tick + 1 of the last sweep; 0: there was none
	n     int    // how many it has found
	used  int    // how many of them have made room
}

// full tells whether no further connection may be open.
func (h *Host) full() bool {
	return h.Config.MaxConnections > 0 && h.conns.Live() >= int(h.Config.MaxConnections)
}

// makeRoom ends a connection that is over already, or else the one that has been idle for the longest time. ok is false
// where there is neither.
func (h *Host) makeRoom() (ok bool) {
	open := h.conns.Live()
	h.CatchUp()
	ok = h.conns.Live() < open || h.endIdlest()
	h.WorkFor(nil)
	return ok
}

// CatchUp takes in what epoll has to report of connections, all of it, ahead of a decision that must not rest on old news.
// Other descriptors are reported again, but for a listener that workers share.
func (h *Host) CatchUp() {
	for rounds := h.conns.Live()/limits.PollEvents + 1; rounds > 0; rounds-- {
		n, _ := h.poll.Wait(0)
		for i := range n {
			switch r := h.poll.Ready(i); r.Tag.Owner() {
			case poll.Connection:
				h.Ready(r.Tag, r.Bits)
			case poll.Listener:
				h.unaccepted = h.unaccepted || h.Workers != nil
			}
		}
		if n < limits.PollEvents {
			break
		}
	}
	h.WorkOff()
}

// endIdlest closes the connection that has waited for a request for the longest time, unless one has come.
func (h *Host) endIdlest() bool {
	for h.idle > 0 {
		if len(h.idlers.found) == 0 && !h.findIdlers() {
			return false
		}
		one := h.idlers.found[0]
		h.idlers.found = h.idlers.found[1:]
		c := h.conns.At(one.number)
		if !one.is(c) {
			continue
		}
		h.WorkFor(c)
		if h.look(c); one.is(c) {
			h.close(c)
			h.idlers.used++
			return true
		}
	}
	return false
}

func (i idler) is(c *Conn) bool { return c.phase == Idle && c.serial == i.serial && c.since == i.since }

// findIdlers sweeps over all records; not twice in a tick, unless most of what the last sweep found was of use.
func (h *Host) findIdlers() bool {
	l := &h.idlers
	if l.swept == h.now+1 && 2*l.used < max(l.n, 1) {
		return false
	}
	*l = idlers{found: make([]idler, 0, limits.IdleCandidates), swept: h.now + 1}
	h.sweep(func(c *Conn) {
		if c.phase == Idle {
			l.add(idler{c.number, c.serial, c.since})
		}
	})
	l.n = len(l.found)
	return l.n > 0
}

// add keeps the longest idle of all that were added.
func (l *idlers) add(one idler) {
	at, _ := slices.BinarySearchFunc(l.found, one.since, func(other idler, since uint32) int {
		return int(int32(other.since-since))*2 - 1 // behind those of the same tick
	})
	if len(l.found) == cap(l.found) {
		if at == len(l.found) {
			return
		}
		l.found = l.found[:len(l.found)-1]
	}
	l.found = slices.Insert(l.found, at, one)
}
