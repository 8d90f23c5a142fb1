// Compressed messages: gathered until they are whole, inflated, and those of the app deflated (RFC 7692).  per message

package conn

import (
	"github.com/valyala/bytebufferpool"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/websocket"
)

// pack is what compression holds of a WebSocket.
type pack struct {
	gathered pool.Buffer // of a message under way; none: there is none
	filled   int         // octets of it
	context  websocket.Context
}

// packs are those of all WebSockets that have one; each knows its own by number.
type packs struct {
	all     []*pack
	free    pool.List[uint32]
	buffers pool.Buffers
	seen    int // compressed messages, in both directions
}

func (p *packs) live() int { return len(p.all) - p.free.Len() }

func (p *packs) of(number *uint32) *pack {
	if *number == 0 {
		if p.free.Len() > 0 {
			*number = p.free.Pop()
		} else {
			p.all = append(p.all, nil)
			*number = uint32(len(p.all))
		}
		p.all[*number-1] = &pack{}
	}
	return p.all[*number-1]
}

func (p *packs) drop(number *uint32) {
	if *number == 0 {
		return
	}
	p.dropGathered(p.all[*number-1])
	p.all[*number-1] = nil
	p.free.Append(*number)
	*number = 0
}

// gather adds a piece of a message, and returns all that came of it.
func (p *packs) gather(held *pack, piece []byte) ([]byte, error) {
	if need := held.filled + len(piece); held.gathered.None() || need > len(held.gathered.Bytes()) {
		larger, err := p.buffers.Get(max(need, 2*held.filled))
		if err != nil {
			return nil, err
		}
		if !held.gathered.None() {
			copy(larger.Bytes(), held.gathered.Bytes()[:held.filled])
			p.buffers.Put(held.gathered)
		}
		held.gathered = larger
	}
	held.filled += copy(held.gathered.Bytes()[held.filled:], piece)
	return held.gathered.Bytes()[:held.filled], nil
}

func (p *packs) dropGathered(held *pack) {
	if !held.gathered.None() {
		p.buffers.Put(held.gathered)
		held.gathered, held.filled = pool.Buffer{}, 0
	}
}

// unpack takes a piece of a compressed message. One that is whole goes to the app in one piece; one that came whole is not copied
// before it is inflated.
func (h *Host) unpack(c *Conn, s *Stream, w *Socket, p *websocket.Piece) step {
	h.packs.seen++
	packed, none := p.Bytes, pack{}
	held := &none
	if w.pack != 0 || !p.Last || w.deflate.KeepsContext() {
		held = h.packs.of(&w.pack)
	}
	if !held.gathered.None() || !p.Last {
		var err error
		if packed, err = h.packs.gather(held, packed); err != nil {
			h.mark(c, noMemory)
			return rest
		}
	}
	if !p.Last {
		return again
	}
	message := bytebufferpool.Get()
	defer bytebufferpool.Put(message)
	var failure *websocket.Failure
	message.B, failure = h.inflater.Inflate(message.B[:0], packed, held.context.Received, h.Config.WSMaxBytes, p.Text)
	if failure != nil {
		h.failPeer(c, s, failure)
		return rest
	}
	held.context.KeepReceived(message.B, w.deflate)
	h.releasePack(w, held)
	b, err := h.inbox.Store(message.B)
	if err != nil {
		h.mark(c, noMemory)
		return rest
	}
	h.tell(c, s, b, p.Text, true)
	h.count(s, uint64(len(b)))
	return again
}

// releasePack lets go of a message that is no longer under way, and of the pack where nothing else is kept in it.
func (h *Host) releasePack(w *Socket, held *pack) {
	h.packs.dropGathered(held)
	if !w.deflate.KeepsContext() {
		h.packs.drop(&w.pack)
	}
}

// sendDeflated sends a message compressed, if that makes it shorter.
func (h *Host) sendDeflated(w *Socket, op websocket.Opcode, message []byte) bool {
	if len(message) < limits.DeflateFromBytes {
		return false
	}
	var context *websocket.Context
	var sent []byte
	if w.deflate.KeepsSent {
		context = &h.packs.of(&w.pack).context
		sent = context.Sent
	}
	h.packs.seen++
	h.scratch = h.deflater.AppendDeflated(h.scratch[:0], message, sent, w.deflate)
	if len(h.scratch) >= len(message) {
		return false
	}
	if context != nil {
		context.KeepSent(message, w.deflate)
	}
	h.out.buf.B = append(websocket.AppendCompressedHeader(h.out.buf.B, op, len(h.scratch)), h.scratch...)
	if cap(h.scratch) > limits.ReadBytes {
		h.scratch = nil
	}
	return true
}
