// Room for a new connection at the limit: connections that have already closed go first, then the longest idle one.

package transport

import (
	"slices"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

// idler identifies a connection in one of its idle periods.
type idler struct{ number, serial, since uint32 }

// room holds the longest idle connections, longest first, as found by a sweep over all records. All other connections have been idle
// for less time, as long as these stay idle, so the next ones to close are known without another sweep: finding one costs a look at
// 1/IdleCandidates of the records, and nothing while there is room.
type room struct {
	loop  *Loop
	idle  int // number of idle connections
	found []idler
	swept uint32 // tick + 1 of the last sweep; 0: none
	n     int    // how many it found
	used  int    // how many of those were closed to make room
}

// full tells whether the limit of connections is reached.
func (r *room) full() bool {
	l := r.loop
	return l.Config.MaxConnections > 0 && l.conns.Live() >= int(l.Config.MaxConnections)
}

// make closes a connection that has already ended, or else the longest idle one. ok is false if there is neither.
func (r *room) make() (ok bool) {
	l := r.loop
	open := l.conns.Live()
	l.CatchUp()
	ok = l.conns.Live() < open || r.endIdlest()
	l.WorkFor(nil)
	return ok
}

// CatchUp handles all pending epoll reports about connections before a decision that needs current state. Epoll will report other
// descriptors again, except a listener shared by workers.
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

// endIdlest closes the longest idle connection, unless a request has arrived on it.
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

// findIdlers sweeps over all records, but not twice in a tick unless most of what the last sweep found was used.
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

// add inserts one and keeps only the longest idle.
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
