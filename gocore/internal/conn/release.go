// What a burst has made grow, shrinks again.  per quiet period

package conn

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/websocket"
)

// Release gives memory back that nothing uses now; more tells that there is more of it than one call gives, for the time it takes.
// Nothing is gathered, and no connection waits.
func (h *Host) Release() (more bool) {
	released := h.conns.Release() + h.streams.Release() + h.sockets.Release()
	released += h.queues.release(limits.ReleaseBytes - released)
	released += h.buffers.Release(limits.ReleaseBytes - released)
	released += h.packs.buffers.Release(limits.ReleaseBytes - released)
	if released >= limits.ReleaseBytes {
		return true
	}
	h.inflater, h.deflater, h.scratch = websocket.Inflater{}, websocket.Deflater{}, nil
	h.idlers = idlers{}
	h.out.release()
	h.packs.release()
	h.retry.Drop(h.retry.Len())
	h.resumed = 0
	for _, list := range [...]*pool.List[uint32]{&h.ready, &h.later, &h.retry, &h.due} {
		list.Release()
	}
	return false
}

func (o *output) release() {
	if o.memory != nil {
		pool.Discard(o.memory)
	}
	o.segments = pool.Fitted(o.segments)
}

func (p *packs) release() {
	n := len(p.all)
	for n > 0 && p.all[n-1] == nil {
		n--
	}
	p.all = pool.Fitted(p.all[:n])
	p.free.Delete(func(number uint32) bool { return int(number) > n })
	p.free.Release()
}
