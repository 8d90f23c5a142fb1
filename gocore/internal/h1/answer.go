// Requests that are answered without the app. They are requests like others: limits, deadlines and persistence apply.

package h1

import (
	"saltare/gocore/internal/answer"
	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/transport"
)

// kindOf tells who answers the request in d.head.
func (d *Driver) kindOf(c *transport.Conn, buf []byte) answer.Kind {
	if !d.answers {
		return answer.ByApp
	}
	return d.config.Answers.Find(&d.head, buf, d.loop.Accept.Listeners[c.Listener].Admin)
}

// answer answers the request in d.head, of which C never knows.
func (d *Driver) answer(c *transport.Conn, s *exchange.Stream, kind answer.Kind, buf []byte) {
	d.answered++
	s.Detach()
	var room [512]byte
	a := answer.Of(kind, &d.head, buf, d.State, room[:0])
	d.response(c, s, uint16(a.Status))
	d.writeHead(c, s, a.Fields)
	d.piece(c, s, transport.Piece{Bytes: a.Body}, false)
}
