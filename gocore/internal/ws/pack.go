// Compression (RFC 7692): messages of the peer are gathered until complete and inflated, messages of the app are deflated.

package ws

import (
	"github.com/valyala/bytebufferpool"

	"saltare/gocore/internal/exchange"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
	"saltare/gocore/internal/websocket"
)

// pack is the compression state of a websocket.
type pack struct {
	gathered pool.Buffer // an incomplete message; none: no message in progress
	filled   int         // octets in gathered
	context  websocket.Context
}

// packs are the packs of all websockets; each websocket holds the number of its pack.
type packs struct {
	all     []*pack
	free    pool.List[uint32]
	buffers pool.Buffers
	seen    int // number of compressed messages, in both directions
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

// gather adds a piece of a message, and returns the message so far.
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

// unpack takes a piece of a compressed message. A complete message goes to the app in one piece; a message that arrived in one piece
// is inflated without being copied first.
func (d *Driver) unpack(c *transport.Conn, s *exchange.Stream, w *state, p *websocket.Piece) step {
	d.packs.seen++
	packed, none := p.Bytes, pack{}
	held := &none
	if w.pack != 0 || !p.Last || w.deflate.KeepsContext() {
		held = d.packs.of(&w.pack)
	}
	if !held.gathered.None() || !p.Last {
		var err error
		if packed, err = d.packs.gather(held, packed); err != nil {
			d.loop.Mark(c, transport.NoMemory)
			return wait
		}
	}
	if !p.Last {
		return again
	}
	message := bytebufferpool.Get()
	defer bytebufferpool.Put(message)
	var failure *websocket.Failure
	message.B, failure = d.inflater.Inflate(message.B[:0], packed, held.context.Received, d.config.WSMaxBytes, p.Text)
	if failure != nil {
		d.failPeer(c, s, failure)
		return wait
	}
	held.context.KeepReceived(message.B, w.deflate)
	d.releasePack(w, held)
	b, err := d.loop.Inbox.Store(message.B)
	if err != nil {
		d.loop.Mark(c, transport.NoMemory)
		return wait
	}
	d.give(c, s, b, p.Text, true)
	count(s, uint64(len(b)))
	return again
}

// releasePack releases a finished message, and the pack if it has no context to keep.
func (d *Driver) releasePack(w *state, held *pack) {
	d.packs.dropGathered(held)
	if !w.deflate.KeepsContext() {
		d.packs.drop(&w.pack)
	}
}

// sendDeflated sends a message compressed, if that makes it shorter.
func (d *Driver) sendDeflated(w *state, op websocket.Opcode, message []byte) bool {
	if len(message) < limits.DeflateFromBytes {
		return false
	}
	var context *websocket.Context
	var sent []byte
	if w.deflate.KeepsSent {
		context = &d.packs.of(&w.pack).context
		sent = context.Sent
	}
	d.packs.seen++
	d.scratch = d.deflater.AppendDeflated(d.scratch[:0], message, sent, w.deflate)
	if len(d.scratch) >= len(message) {
		return false
	}
	if context != nil {
		context.KeepSent(message, w.deflate)
	}
	d.out.B = append(websocket.AppendCompressedHeader(d.out.B, op, len(d.scratch)), d.scratch...)
	if cap(d.scratch) > limits.ReadBytes {
		d.scratch = nil
	}
	return true
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
