// What a burst has made grow, shrinks again.  per quiet period

package conn

import (
	"slices"

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
	h.later, h.retry, h.due = pool.Fitted(h.later), nil, pool.Fitted(h.due)
	return false
}

func (o *output) release() { o.buf, o.segments = nil, pool.Fitted(o.segments) }

func (p *packs) release() {
	n := len(p.all)
	for n > 0 && p.all[n-1] == nil {
		n--
	}
	p.all = pool.Fitted(p.all[:n])
	p.free = pool.Fitted(slices.DeleteFunc(p.free, func(number uint32) bool { return int(number) > n }))
}
