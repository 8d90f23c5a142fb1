// From a request to a websocket: the handshake, and the app's acceptance.

package ws

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// Ask parses the handshake of the request in head, which was parsed from buf.
func (d *Driver) Ask(s *exchange.Stream, head *http1.Head, buf []byte) *message.Refusal {
	hs := &d.handshake
	if refusal := hs.Shake(head, buf, hs.Subprotocols[:0], d.config.WSContext); refusal != nil {
		return refusal
	}
	number, w, err := d.states.Alloc()
	if err != nil {
		return exchange.OutOfMemory
	}
	s.WebSocket, s.Own = true, number+1
	w.accept = hs.Accept
	w.decoder.MaxBytes = d.config.WSMaxBytes
	if d.config.WSDeflate && hs.Deflate.On() {
		w.deflate = hs.Deflate
		w.decoder.AllowCompressed()
	}
	return nil
}

// Subprotocols are those offered in the handshake of the last Ask.
func (d *Driver) Subprotocols() []http1.Span { return d.handshake.Subprotocols }

// Accept turns the connection into a websocket; frames follow its request. An error is a mistake of the app; nothing was sent then.
func (d *Driver) Accept(c *transport.Conn, s *exchange.Stream, fields []byte, defaults *message.Defaults) error {
	w := d.stateOf(s)
	d.out.Gather(c)
	own := websocket.AppendFields(d.scratch[:0], &w.accept, w.deflate)
	bytes, err := http1.AppendUpgrade(d.out.B, own, fields, defaults)
	d.scratch, d.out.B = own, bytes
	if err != nil {
		return err
	}
	d.streams.Responded(message.Switching)
	if f := d.loop.Figures; f != nil {
		f.WebSockets++
	}
	d.streams.Enter(c, s, exchange.Open)
	d.streams.Opens(s)
	w.pinged = d.loop.Clock.Now
	d.loop.Switch(c, d.kind)
	d.loop.Timers.Arm(c)
	if d.loop.Draining() {
		d.closeForApp(c, s, websocket.ServiceRestart, nil)
	}
	return nil
}
