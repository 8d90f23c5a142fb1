// Compressed messages: gathered until they are whole, inflated, and those of the app deflated (RFC 7692).  per message

package conn

import (
	"github.com/valyala/bytebufferpool"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/websocket"
)

// packs are the compressed messages under way; a WebSocket knows its own by number.
type packs struct {
	all  []*bytebufferpool.ByteBuffer
	free []uint32
}

func (p *packs) of(number *uint32) *bytebufferpool.ByteBuffer {
	if *number == 0 {
		if n := len(p.free); n > 0 {
			*number = p.free[n-1]
			p.free = p.free[:n-1]
		} else {
			p.all = append(p.all, nil)
			*number = uint32(len(p.all))
		}
		p.all[*number-1] = bytebufferpool.Get()
	}
	return p.all[*number-1]
}

func (p *packs) drop(number *uint32) {
	if *number == 0 {
		return
	}
	bytebufferpool.Put(p.all[*number-1])
	p.all[*number-1] = nil
	p.free = append(p.free, *number)
	*number = 0
}

// unpack takes a piece of a compressed message. One that is whole goes to the app in one piece; one that came whole is not copied
// before it is inflated.
func (h *Host) unpack(c *Conn, s *Stream, w *Socket, p *websocket.Piece) step {
	packed := p.Bytes
	if w.packed != 0 || !p.Last {
		pack := h.packs.of(&w.packed)
		pack.B = append(pack.B, packed...)
		packed = pack.B
	}
	if !p.Last {
		return again
	}
	message := bytebufferpool.Get()
	defer bytebufferpool.Put(message)
	var failure *websocket.Failure
	message.B, failure = h.inflater.Inflate(message.B[:0], packed, h.Config.WSMaxBytes, p.Text)
	h.packs.drop(&w.packed)
	if failure != nil {
		h.failPeer(c, s, failure)
		return rest
	}
	b, err := h.inbox.Store(message.B)
	if err != nil {
		h.disconnect(c, "out of memory")
		return rest
	}
	h.tell(c, s, b, p.Text, true)
	h.count(s, uint64(len(b)))
	return again
}

// sendDeflated sends a message compressed, if that makes it shorter.
func (h *Host) sendDeflated(w *Socket, op websocket.Opcode, message []byte) bool {
	if len(message) < limits.DeflateFromBytes {
		return false
	}
	h.scratch = h.deflater.AppendDeflated(h.scratch[:0], message, w.deflate)
	if len(h.scratch) >= len(message) {
		return false
	}
	h.out.buf.B = append(websocket.AppendCompressedHeader(h.out.buf.B, op, len(h.scratch)), h.scratch...)
	if cap(h.scratch) > limits.ReadBytes {
		h.scratch = nil
	}
	return true
}
