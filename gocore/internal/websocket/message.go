// Decoding of the peer's frames into pieces of messages and control frames.

package websocket

// Kind is the kind of a piece.
type Kind uint8

const (
	// Nothing: b does not hold a complete piece.
	Nothing Kind = iota
	// Data: octets of a message.
	Data
	// Ping, Pong and Close are whole control frames.
	Ping
	Pong
	Close
	// Failed: an error of the peer. Further octets have no meaning; none are taken, so another call gives the same result.
	Failed
)

// Piece is a piece of the peer's input.
type Piece struct {
	Bytes   []byte // of the message, the payload of a Ping or Pong, or the reason of a Close; within the buffer given to Next
	Failure *Failure
	Coming  uint64 // of Data: octets of the same frame that are to come
	Total   uint64 // of the last Data: octets of the whole message as sent
	Code    uint16 // of a Close
	Kind    Kind

	Text, Compressed bool // of Data: about its message
	First, Last      bool // of Data: a frame begins here; the message ends here
}

// Decoder decodes the frames of one peer. It holds no pointer. Its results depend only on the octets, never on how they are split.
type Decoder struct {
	MaxBytes uint64 // largest message
	left     uint64 // octets to come of the current frame's payload
	total    uint64 // octets of the current message, as its frames declare them
	mask     uint32
	text     utf8State
	opcode   Opcode // of the current message; opContinuation: none
	flags    uint8
}

const (
	inFrame     = 1 << iota // inside a data frame
	final                   // the frame is the last of its message
	compressed              // the message is compressed
	mayCompress             // permessage-deflate was agreed
)

// AllowCompressed enables permessage-deflate.
func (d *Decoder) AllowCompressed() { d.flags |= mayCompress }

// Next finds the first piece in b, and returns how many octets of b it took. With Nothing it took none: call again with more octets
// after them. Payloads are unmasked in place.
func (d *Decoder) Next(p *Piece, b []byte) (n int) {
	*p = Piece{}
	before, first := *d, false
	if d.flags&inFrame == 0 {
		var h header
		complete, failure := h.read(b, d.flags&mayCompress != 0)
		if failure == nil && complete {
			failure = d.begin(&h)
		}
		switch {
		case failure != nil:
			return p.fail(failure)
		case !complete:
			return 0
		case h.opcode&controlBit != 0:
			return d.control(p, &h, b)
		}
		n, first = h.size, true
	} else if len(b) == 0 {
		return 0
	}
	n += d.data(p, b[n:], first)
	if p.Kind == Failed {
		*d = before
		return 0
	}
	return n
}

func (p *Piece) fail(failure *Failure) int {
	p.Kind, p.Failure = Failed, failure
	return 0
}

// begin checks that a frame is allowed at this point of the message, and starts it if it is a data frame.
func (d *Decoder) begin(h *header) *Failure {
	switch {
	case h.opcode&controlBit != 0:
		return nil
	case h.opcode == opContinuation && d.opcode == opContinuation:
		return nothingToGoOn
	case h.opcode != opContinuation && d.opcode != opContinuation:
		return notContinued
	case h.length > d.MaxBytes-d.total:
		return tooBig
	}
	if h.opcode != opContinuation {
		d.opcode = h.opcode
		d.set(compressed, h.compressed)
	}
	d.set(inFrame, true)
	d.set(final, h.fin)
	d.left, d.mask = h.length, h.mask
	d.total += h.length
	return nil
}

func (d *Decoder) set(flag uint8, on bool) {
	d.flags &^= flag
	if on {
		d.flags |= flag
	}
}

// control processes a control frame, once it is complete.
func (d *Decoder) control(p *Piece, h *header, b []byte) int {
	n := h.size + int(h.length)
	if len(b) < n {
		return 0
	}
	payload := b[h.size:n:n]
	unmask(payload, h.mask)
	switch h.opcode {
	case OpPing:
		p.Kind, p.Bytes = Ping, payload
	case OpPong:
		p.Kind, p.Bytes = Pong, payload
	default:
		var failure *Failure
		if p.Code, p.Bytes, failure = readClose(payload); failure != nil {
			unmask(payload, h.mask)
			return p.fail(failure)
		}
		p.Kind = Close
	}
	return n
}

// data processes the available payload of a data frame.
func (d *Decoder) data(p *Piece, b []byte, first bool) int {
	n := int(min(d.left, uint64(len(b))))
	b = b[:n:n]
	mask := d.mask
	d.mask = unmask(b, mask)
	d.left -= uint64(n)
	*p = Piece{Kind: Data, Bytes: b, Coming: d.left, First: first, Text: d.opcode == OpText, Compressed: d.flags&compressed != 0}
	p.Last = d.left == 0 && d.flags&final != 0
	if p.Text && !p.Compressed && (!d.text.check(b) || p.Last && !d.text.whole()) {
		unmask(b, mask)
		return p.fail(notUTF8)
	}
	if d.left == 0 {
		d.set(inFrame, false)
	}
	if p.Last {
		p.Total = d.total
		d.opcode, d.total = opContinuation, 0
	}
	return n
}
