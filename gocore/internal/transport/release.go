// What a burst has made grow, shrinks again.

package transport

import (
	"saltare/gocore/internal/pool"
)

// Release gives back up to about most bytes that nothing uses now, and tells how many. Nothing is gathered, and no connection waits.
func (l *Loop) Release(most int) (released int) {
	released = l.conns.Release() + l.Output.queues.release(most)
	return released + l.Input.buffers.Release(most-released)
}

// Shrink does the same for lists and what else is made anew when it is needed.
func (l *Loop) Shrink() {
	l.room = room{loop: l, idle: l.room.idle}
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
