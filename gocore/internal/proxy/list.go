// X-Forwarded-For and the other lists that each proxy appends to.

package proxy

import (
	"bytes"
	"slices"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
)

// walk goes from the peer towards the client, one hop of a list after the other.
type walk struct {
	from   *List
	client handoff.Address // the last address that is known
	hops   int             // passed
	at     int             // the hop that has the client
	over   bool
}

// pass takes the next hop, and tells whether it is an address.
func (w *walk) pass(node []byte) bool {
	a, ok := parseNode(node)
	if ok {
		w.client, w.at = a, w.hops
		w.over = !w.from.Has(&a)
	} else {
		w.over = !w.from.hasName(node)
	}
	w.hops++
	w.over = w.over || w.hops == limits.MaxHops
	return ok
}

// backwards is the elements of a list, the last one first. Several field lines are one list; empty elements do not count.
type backwards struct {
	buf       []byte
	fields    []http1.Field // those not read yet
	id        uint32
	from, end int // what is left of the present line
	element   http1.Span
}

func (r *reading) backwards(id uint32) backwards {
	return backwards{buf: r.buf, fields: r.fields, id: id, from: 1} // the present line is at its end
}

// next goes to the next element; false: there is none.
func (e *backwards) next() bool {
	for {
		if e.from > e.end && !e.nextLine() {
			return false
		}
		at := e.from + bytes.LastIndexByte(e.buf[e.from:e.end], ',') + 1
		e.element = trimmed(e.buf, at, e.end)
		if e.end = at - 1; e.element.Len > 0 {
			return true
		}
	}
}

func (e *backwards) nextLine() bool {
	for len(e.fields) > 0 {
		f := &e.fields[len(e.fields)-1]
		e.fields = e.fields[:len(e.fields)-1]
		if f.ID == e.id {
			e.from, e.end = int(f.Value.Off), int(f.Value.Off+f.Value.Len)
			return true
		}
	}
	return false
}

func trimmed(b []byte, from, to int) http1.Span {
	for from < to && (b[from] == ' ' || b[from] == '\t') {
		from++
	}
	for to > from && (b[to-1] == ' ' || b[to-1] == '\t') {
		to--
	}
	return http1.Span{Off: uint32(from), Len: uint32(to - from)}
}

// spanOf returns the value of a field that is believed, empty if there is none. Of a list it is the element of the hop that has the
// client, or the first one of a shorter list; X-Real-IP is no list.
func (r *reading) spanOf(id uint32) (at http1.Span) {
	if !slices.Contains(r.Fields, id) {
		return at
	}
	if id == http1.XRealIP {
		for i := range r.fields {
			if f := &r.fields[i]; f.ID == id && f.Value.Len > 0 {
				at = f.Value
			}
		}
		return at
	}
	list := r.backwards(id)
	for hop := 0; hop <= r.hop && list.next(); hop++ {
		at = list.element
	}
	return at
}

func (r *reading) valueOf(id uint32) []byte { return r.spanOf(id).In(r.buf) }
