// What options want to know of a request: its id, its place in a trace, and whether its client speaks TLS.

package h1

import (
	"unsafe"

	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/identity"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/octet"
	"saltare/gocore/internal/transport"
)

// namer names requests.
type namer struct {
	source identity.Source
	field  string // with a request's id, in lower case; "": requests have no ids
	traces bool
	secure bool // whether the client speaks TLS is to be known
	fields int  // how many C gets of each request, behind the request's own
}

// mostNamed is the most of these fields: the id, traceparent and tracestate.
const mostNamed = 3

// Compile-time check that View leaves room for names, the view itself, and what alignment takes.
const _ = uint(limits.ViewRestBytes - (int(unsafe.Sizeof(handoff.Request{})) + mostNamed*fieldBytes + limits.RequestIDBytes + limits.TraceparentBytes + 4*8))

// newNamer returns nil if options want to know nothing of requests.
func newNamer(c *config.Config) *namer {
	if c.RequestIDHeader == nil && !c.Traceparent && c.HSTS == nil {
		return nil
	}
	n := &namer{field: octet.ToLower(c.RequestIDHeader), traces: c.Traceparent, secure: c.HSTS != nil}
	if n.field != "" {
		n.fields++
	}
	if n.traces {
		n.fields += 2
	}
	return n
}

// name names the request in d.head, which was parsed from buf; one that the server answers has no id and no trace. ok is false if
// memory runs out.
func (d *Driver) name(c *transport.Conn, s *exchange.Stream, buf []byte) (ok bool) {
	var names exchange.Names
	if d.namer.secure {
		from := d.origin(c, buf)
		names.Secure = from.Scheme == handoff.SchemeHTTPS || from.Scheme == 0 && d.config.Proxies.TLS
	}
	if d.namer.fields > 0 && d.kindOf(c, buf) == answer.ByApp {
		d.nameForApp(c, &names, buf)
	}
	return d.streams.Name(s, names) == nil
}

// nameForApp finds or makes the id and the trace. What C gets of them goes into the arena, between the request's own fields and the decoded
// path: further fields, then the octets of new names.
func (d *Driver) nameForApp(c *transport.Conn, names *exchange.Names, buf []byte) {
	n, arena := d.namer, d.loop.Inbox.Free()
	at := d.endOfFields(buf) + n.fields*fieldBytes
	fields := d.loop.Inbox.Fields(len(buf), len(d.head.Fields)+n.fields)[len(d.head.Fields):]
	made := arena[at:at]
	d.named = 0
	if n.field != "" {
		id := d.givenID(c, buf)
		if id.Len == 0 {
			made = n.source.AppendID(made)
			id = http1.Span{Off: uint32(at), Len: uint32(len(made))}
		}
		names.ID, fields[0] = id.In(arena), http1.Field{Value: id}
		fields = fields[1:]
		d.named |= handoff.EventID
	}
	if n.traces {
		before := len(made)
		var tracestate http1.Span
		if made, tracestate = d.trace(made, buf); len(made) == before {
			made = n.source.AppendNewTrace(made)
		}
		traceparent := http1.Span{Off: uint32(at + before), Len: limits.TraceparentBytes}
		names.Traceparent = traceparent.In(arena)
		fields[0], fields[1] = http1.Field{Value: traceparent}, http1.Field{Value: tracestate}
		d.named |= handoff.EventTrace
	}
	d.behind = n.fields*fieldBytes + len(made)
}

// givenID is the id that a proxy who is believed has given the request; empty: none, or one that is not taken. The last line of several
// is that of the nearest proxy.
func (d *Driver) givenID(c *transport.Conn, buf []byte) (id http1.Span) {
	if !d.config.Proxies.Apply(&c.Client, true) {
		return id
	}
	id, _ = d.lineOf(d.namer.field, buf)
	if !identity.IsID(id.In(buf)) {
		return http1.Span{}
	}
	return id
}

// trace appends the traceparent that the request passes on, if it has one, and finds its tracestate.
func (d *Driver) trace(to, buf []byte) (traceparent []byte, tracestate http1.Span) {
	at, lines := d.lineOf("traceparent", buf)
	if lines != 1 {
		return to, tracestate
	}
	before := len(to)
	to = identity.AppendTraceparent(to, at.In(buf))
	if state, lines := d.lineOf("tracestate", buf); lines == 1 && len(to) > before { // several lines would have to be joined
		tracestate = state
	}
	return to, tracestate
}

// lineOf is the value of the last field in d.head with that name in lower case, and how many there are.
func (d *Driver) lineOf(name string, buf []byte) (value http1.Span, lines int) {
	for i := range d.head.Fields {
		if f := &d.head.Fields[i]; string(f.Name.In(buf)) == name {
			value = f.Value
			lines++
		}
	}
	return value, lines
}
