// Release of memory after a burst.

package transport

import (
	"saltare/gocore/internal/pool"
)

// Release releases up to about most unused bytes and returns how many. Nothing may be gathered, and no connection put off.
func (l *Loop) Release(most int) (released int) {
	released = l.conns.Release() + l.Output.queues.release(most)
	if l.secure != nil {
		released += l.secure.release()
	}
	return released + l.Input.buffers.Release(most-released)
}

// Shrink releases lists and whatever else is made again on demand.
func (l *Loop) Shrink() {
	l.room = room{loop: l, idle: l.room.idle}
	if l.secure != nil {
		l.secure.shrink()
	}
	l.births = pool.Fitted(l.births[:min(len(l.births), int(l.conns.Len()))])
	l.Timers.due.Release()
	l.Output.release()
	l.turn.retry.Drop(l.turn.retry.Len())
	l.turn.resumed = 0
	for _, list := range l.turn.lists() {
		list.Release()
	}
}

func (o *Output) release() {
	if o.memory != nil {
		pool.Discard(o.memory)
	}
	o.segments = pool.Fitted(o.segments)
}
