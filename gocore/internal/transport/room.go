// Room for a new connection, where there is none: what has closed already goes first, then the longest idle.

package transport

import (
	"slices"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// idler is a connection as it was when it was found to be idle.
type idler struct{ number, serial, since uint32 }

// room is the longest idle connections, the longest first, as a sweep over all records has found them. Every other
// connection is younger than these for as long as they stay idle, so the next ones to go are known without another sweep:
// finding one costs a look at 1/IdleCandidates of the records, and nothing while there is room.
type room struct {
	loop  *Loop
	idle  int // connections that wait for a request
	found []idler
	swept uint32 // tick + 1 of the last sweep; 0: there was none
	n     int    // how many it has found
	used  int    // how many of them have made room
}

// full tells whether no further connection may be open.
func (r *room) full() bool {
	l := r.loop
	return l.Config.MaxConnections > 0 && l.conns.Live() >= int(l.Config.MaxConnections)
}

// make ends a connection that is over already, or else the one that has been idle for the longest time. ok is false
// where there is neither.
func (r *room) make() (ok bool) {
	l := r.loop
	open := l.conns.Live()
	l.CatchUp()
	ok = l.conns.Live() < open || r.endIdlest()
	l.WorkFor(nil)
	return ok
}

// CatchUp takes in what epoll has to report of connections, all of it, ahead of a decision that must not rest on old news.
// Other descriptors are reported again, but for a listener that workers share.
func (l *Loop) CatchUp() {
	for rounds := l.conns.Live()/limits.PollEvents + 1; rounds > 0; rounds-- {
		n, _ := l.poll.Wait(0)
		for i := range n {
			switch r := l.poll.Ready(i); r.Tag.Owner() {
			case poll.Connection:
				l.Report(r.Tag, r.Bits)
			case poll.Listener:
				l.Accept.unread = l.Accept.unread || l.Accept.Workers != nil
			}
		}
		if n < limits.PollEvents {
			break
		}
	}
	l.WorkOff()
}

// endIdlest closes the connection that has waited for a request for the longest time, unless one has come.
func (r *room) endIdlest() bool {
	l := r.loop
	for r.idle > 0 {
		if len(r.found) == 0 && !r.findIdlers() {
			return false
		}
		one := r.found[0]
		r.found = r.found[1:]
		c := l.conns.At(one.number)
		if !one.is(c) {
			continue
		}
		l.WorkFor(c)
		if l.Timers.look(c); one.is(c) {
			l.close(c)
			r.used++
			return true
		}
	}
	return false
}

func (i idler) is(c *Conn) bool { return c.phase == Idle && c.serial == i.serial && c.Since == i.since }

// findIdlers sweeps over all records; not twice in a tick, unless most of what the last sweep found was of use.
func (r *room) findIdlers() bool {
	l := r.loop
	if r.swept == l.Clock.Now+1 && 2*r.used < max(r.n, 1) {
		return false
	}
	*r = room{loop: l, idle: r.idle, found: make([]idler, 0, limits.IdleCandidates), swept: l.Clock.Now + 1}
	l.sweep(func(c *Conn) {
		if c.phase == Idle {
			r.add(idler{c.number, c.serial, c.Since})
		}
	})
	r.n = len(r.found)
	return r.n > 0
}

// add keeps the longest idle of all that were added.
func (r *room) add(one idler) {
	at, _ := slices.BinarySearchFunc(r.found, one.since, func(other idler, since uint32) int {
		return int(int32(other.since-since))*2 - 1 // behind those of the same tick
	})
	if len(r.found) == cap(r.found) {
		if at == len(r.found) {
			return
		}
		r.found = r.found[:len(r.found)-1]
	}
	r.found = slices.Insert(r.found, at, one)
}
