// A request head: bytes in, a request for the app out.
//
// Bytes are read straight into the turn's arena. Nearly every head is complete after one read: it is parsed and passed to C in place.
// An incomplete head is parked in a buffer of the connection until more arrives.

package h1

import (
	"unsafe"

	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/proxy"
	"saltare/gocore/internal/transport"
)

func (d *Driver) readHead(c *transport.Conn) step {
	if d.answered == limits.AnswersPerTurn {
		d.loop.PutOff(c)
		return wait
	}
	buf, _, ok := d.loop.Input.Take(c)
	if !ok {
		return wait
	}
	return d.parse(c, buf)
}

func (d *Driver) parse(c *transport.Conn, buf []byte) step {
	d.head.Fields = d.loop.Inbox.Fields(len(buf), d.head.Limits.Fields)
	n, refusal := http1.ParseHead(&d.head, buf, int(c.Scanned))
	switch {
	case refusal != nil:
		d.refuse(c, refusal)
		return wait
	case n == 0:
		return d.needMore(c, buf)
	}
	c.Scanned = 0
	return d.begin(c, buf, n)
}

// needMore parks an incomplete head. Its deadline counts from its first byte, or from accept.
func (d *Driver) needMore(c *transport.Conn, buf []byte) step {
	if c.Phase() == transport.Idle {
		d.loop.Enter(c, transport.Head)
	}
	if !d.loop.Input.ParkBeginning(c, buf) {
		return wait
	}
	d.loop.Timers.Arm(c)
	return again
}

// begin passes a request to the app: buf holds the head in its first n bytes, then whatever followed it.
func (d *Driver) begin(c *transport.Conn, buf []byte, n int) step {
	s, ok := d.open(c, buf)
	if !ok {
		d.loop.Mark(c, transport.NoMemory)
		return wait
	}
	kind := d.kindOf(c, buf)
	if kind == answer.ByApp {
		d.limit(s, buf)
	}
	d.loop.Fault("request")
	body, behind, refusal := d.admitBody(c, s, kind, buf[:n], buf[n:])
	if refusal == nil && d.head.UpgradeWebSocket && kind == answer.ByApp {
		refusal = d.upgrades.Ask(s, &d.head, buf)
	}
	if refusal != nil {
		s.Detach()
		if d.streams.Log != nil {
			var r handoff.Request
			d.describe(c, &r, buf)
			d.streams.Record(s, &r)
		}
		if refusal.Keeps && s.BodyDone && !d.loop.Input.Park(c, buf[n:]) {
			return wait
		}
		d.refuse(c, refusal)
		return wait
	}
	if !s.BodyDone {
		s.CountPiece(body)
	}
	if !d.loop.Input.Park(c, behind) {
		return wait
	}
	if kind == answer.ByApp {
		d.view(c, s, buf, body)
	}
	if s.BodyDone {
		d.streams.Enter(c, s, exchange.Responding)
		d.loop.Enter(c, transport.Busy)
		if s.Expires != 0 {
			d.loop.Timers.Arm(c)
		}
	} else {
		d.streams.Enter(c, s, exchange.Body)
		d.loop.Enter(c, transport.Busy)
		d.loop.Timers.Arm(c)
	}
	if kind != answer.ByApp {
		d.answer(c, s, kind, buf)
	}
	return again
}

// open creates the stream; ok is false if memory runs out.
func (d *Driver) open(c *transport.Conn, buf []byte) (s *exchange.Stream, ok bool) {
	head := &d.head
	c.Requests++
	s, err := d.streams.Begin(c, message.Response{Minor: head.Minor, HEAD: head.IsHEAD, Close: !head.KeepAlive, ContentLength: -1})
	if err != nil {
		return nil, false
	}
	c.Stream = s.Number() + 1
	if head.Chunked {
		number, _, err := d.chunks.Alloc()
		if err != nil {
			s.Detach()
			return nil, false
		}
		s.Own = number + 1
	} else if head.ContentLength > 0 {
		s.Left = uint64(head.ContentLength)
	}
	s.BodyDone = !head.Chunked && s.Left == 0
	if d.loop.Figures != nil {
		d.measure(c, buf)
	}
	s.Expecting = head.ExpectContinue && !s.BodyDone
	if d.namer != nil && !d.name(c, s, buf) {
		s.Detach()
		return nil, false
	}
	return s, true
}

// admitBody decodes what followed the head, unless the request is refused without the app.
func (d *Driver) admitBody(c *transport.Conn, s *exchange.Stream, kind answer.Kind, head, b []byte) (body, behind []byte, refusal *message.Refusal) {
	if kind == answer.ByApp { // health checks and metrics are answered whatever the app's clients do
		refusal = d.tooMany(c, head)
	}
	if refusal == nil {
		refusal = d.unwanted(s)
	}
	if refusal == nil {
		body, behind, refusal = d.decode(s, b)
	}
	if refusal == nil && d.streams.Oversized(s) {
		refusal = exchange.BodyTooLarge
	}
	return body, behind, refusal
}

// tooMany is why the request in d.head, which was parsed from buf, is refused for now: there are too many.
func (d *Driver) tooMany(c *transport.Conn, buf []byte) *message.Refusal {
	if d.config.RateLimit > 0 {
		if from := d.origin(c, buf); !d.loop.MayAsk(&from.Client) {
			return exchange.TooManyRequests
		}
	}
	if most := d.config.LimitConcurrency; most > 0 && d.streams.InProgress() > int(most) {
		return exchange.Busy
	}
	return nil
}

// unwanted is why the request in d.head is refused whatever its body is.
func (d *Driver) unwanted(s *exchange.Stream) *message.Refusal {
	if most := d.streams.MostBody(s); most > 0 && d.head.ContentLength > 0 && uint64(d.head.ContentLength) > most {
		return exchange.BodyTooLarge
	}
	if d.head.IsCONNECT {
		return exchange.NoTunnel
	}
	return nil
}

const fieldBytes = int(unsafe.Sizeof(http1.Field{}))

func fieldsPointer(fields []http1.Field) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(fields)))
}

func requestPointer(r *handoff.Request) uintptr { return uintptr(unsafe.Pointer(r)) }

// view describes the request to C and keeps the data it points to until the end of the turn.
func (d *Driver) view(c *transport.Conn, s *exchange.Stream, buf, body []byte) {
	inbox := d.loop.Inbox
	path, size := d.decodedPath(buf)
	inbox.Keep(size)

	r := inbox.NewRequest()
	flags := d.flagsOf(s) | d.loop.DescribeTLS(c)
	d.describe(c, r, buf)
	r.Path, r.PathLen = handoff.Pointer(path), uint32(len(path))
	d.streams.Record(s, r)
	if len(body) > 0 {
		r.Body, r.BodyLen = handoff.Pointer(body), uint32(len(body))
	}
	if s.WebSocket {
		offered := d.upgrades.Subprotocols()
		r.Subprotocols, r.NSubprotocols = inbox.KeepSpans(offered), uint32(len(offered))
	}
	inbox.Add(handoff.Event{Kind: handoff.EventRequest, Flags: flags, Stream: s.Handle(), Data: requestPointer(r)})
	d.streams.Passed()
}

// endOfFields is how many octets of the arena buf and the fields of d.head take.
func (d *Driver) endOfFields(buf []byte) int { return (len(buf)+7)&^7 + len(d.head.Fields)*fieldBytes }

// decodedPath is the path of the request in d.head; buf, the fields, its names and the decoded path take the first size octets of the
// arena.
func (d *Driver) decodedPath(buf []byte) (path []byte, size int) {
	size = d.endOfFields(buf) + d.behind
	if path = d.head.Path.In(buf); d.head.PathEscaped {
		path = http1.DecodePath(d.loop.Inbox.Free()[size:size], path)
		size += len(path)
	}
	return path, size
}

// describe fills in what the head in buf says, and who sent it.
func (d *Driver) describe(c *transport.Conn, r *handoff.Request, buf []byte) {
	head := &d.head
	r.Head = handoff.Pointer(buf)
	r.Method, r.RawPath, r.Query = head.Method, head.Path, head.Query
	r.Minor, r.Listener = uint32(head.Minor), c.Listener
	from := d.origin(c, buf)
	r.Client, r.Local = from.Client, c.Local
	r.Scheme, r.Port, r.Host, r.Prefix = from.Scheme, from.Port, from.Host, from.Prefix
	r.Fields, r.NFields = fieldsPointer(head.Fields), uint32(len(head.Fields))
}

// origin is where the request in d.head comes from: what proxies that are believed say, otherwise the connection's peer.
func (d *Driver) origin(c *transport.Conn, buf []byte) (from proxy.Origin) {
	from.Client = c.Client
	if rules := &d.config.Proxies; rules.Apply(&c.Client, d.head.Proxied) && !d.loop.Accept.Listeners[c.Listener].Admin {
		rules.Read(&from, buf, d.head.Fields)
	}
	return from
}

func (d *Driver) flagsOf(s *exchange.Stream) (flags uint32) {
	if d.head.AcceptsCodings {
		flags |= handoff.EventCodings
	}
	if s.BodyDone {
		flags |= handoff.EventLast
	}
	if s.Expecting {
		flags |= handoff.EventContinue
	}
	if s.Response.HEAD {
		flags |= handoff.EventSilent
	}
	if s.WebSocket {
		flags |= handoff.EventWebSocket
	}
	return flags | d.named
}
