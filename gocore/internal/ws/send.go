// The app's messages -> frames.

package ws

import (
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// send sends a message of the app in one frame.
func (d *Driver) send(c *transport.Conn, s *exchange.Stream, k *handoff.Command, p transport.Piece) {
	if s.Stage() != exchange.Open {
		d.out.ReleasePiece(p)
		return
	}
	op := websocket.OpBinary
	if k.Flags&handoff.CommandText != 0 {
		op = websocket.OpText
	}
	s.Sent(len(p.Bytes))
	if f := d.loop.Figures; f != nil {
		f.MessagesOut++
	}
	d.out.Gather(c)
	if w := d.stateOf(s); w.deflate.On() && d.sendDeflated(w, op, p.Bytes) {
		d.out.ReleasePiece(p)
		return
	}
	d.out.B = websocket.AppendHeader(d.out.B, op, len(p.Bytes))
	d.out.Add(p)
}
