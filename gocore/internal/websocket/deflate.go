// Compression and decompression of messages (RFC 7692 7.2).
//
// Inflater and Deflater keep no state between two messages: each call gets the context that the connection has kept.

package websocket

import (
	"compress/flate"
	"io"

	"saltare/gocore/internal/limits"
)

// tail is the octets that a sender omits, and an empty last block, so that the inflater sees the end.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

const tailLeftAway = 4

// Inflater inflates messages, one after the other, for all connections. Its zero value is ready; once used it holds some 45 KiB.
type Inflater struct {
	from   packed
	stream io.ReadCloser
}

// packed reads a message, then tail.
type packed struct {
	message []byte
	tail    string
}

func (p *packed) Read(b []byte) (n int, err error) {
	if n = copy(b, p.message); n > 0 {
		p.message = p.message[n:]
		return n, nil
	}
	if n = copy(b, p.tail); n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	p.tail = p.tail[n:]
	return n, nil
}

// ReadByte keeps compress/flate from buffering.
func (p *packed) ReadByte() (byte, error) {
	var b [1]byte
	_, err := p.Read(b[:])
	return b[0], err
}

// Inflate appends the inflated message to dst. The message may refer to context: the end of earlier messages, or nothing.
func (f *Inflater) Inflate(dst, message, context []byte, maxBytes uint64, text bool) ([]byte, *Failure) {
	f.reset(message, context)
	defer f.reset(nil, nil)
	for begin := len(dst); ; {
		if cap(dst) == len(dst) {
			dst = append(dst, make([]byte, limits.InflateStepBytes)...)[:len(dst)]
		}
		n, err := f.stream.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case uint64(len(dst)-begin) > maxBytes:
			return dst, tooBig
		case err == io.EOF && text && !validUTF8(dst[begin:]):
			return dst, notUTF8
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, badDeflate
		}
	}
}

func (f *Inflater) reset(message, context []byte) {
	f.from = packed{message, tail}
	if f.stream == nil {
		f.stream = flate.NewReaderDict(&f.from, context)
		return
	}
	_ = f.stream.(flate.Resetter).Reset(&f.from, context)
}

// Deflater deflates messages, one after the other, for all connections. Its zero value is ready; once used it holds some 1.2 MiB.
type Deflater struct {
	to     appended
	stream *flate.Writer
}

// appended is an io.Writer that appends to a slice.
type appended struct{ b []byte }

func (a *appended) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// unmatched: shorter input is not searched for matches, and clears the history (compress/flate, encSpeed).
const unmatched = 128

// AppendDeflated appends a deflated message of at least one octet, within the peer's window. It deflates parts of the size of a window
// independently, which suits any window. With context, the end of the messages sent before, it deflates parts of half a window that
// each may refer to the half before. Writing to a slice cannot fail, so errors are ignored.
func (f *Deflater) AppendDeflated(dst, message, context []byte, d Deflate) []byte {
	f.to.b = dst
	if f.stream == nil {
		f.stream, _ = flate.NewWriter(&f.to, flate.BestSpeed)
	}
	size := len(message)
	switch {
	case d.KeepsSent:
		size = d.sentContext()
	case d.WindowBits < mostBits:
		size = 1 << d.WindowBits
	}
	for len(message) > 0 {
		part := message[:min(size, len(message))]
		f.begin(context, len(part))
		_, _ = f.stream.Write(part)
		_ = f.stream.Flush()
		message = message[len(part):]
		if d.KeepsSent {
			context = part
		}
	}
	dst, f.to.b = f.to.b, nil
	return dst[:len(dst)-tailLeftAway]
}

// begin resets the stream and gives it the context as history, before a part of n octets.
func (f *Deflater) begin(context []byte, n int) {
	f.stream.Reset(&f.to)
	if len(context) < unmatched || n < unmatched {
		return
	}
	before := len(f.to.b)
	_, _ = f.stream.Write(context)
	_ = f.stream.Flush()
	f.to.b = f.to.b[:before]
}

// Context is the end of the messages in each direction, for later messages to refer to.
type Context struct {
	Sent, Received []byte
}

// KeepSent adds a message that was sent compressed to the context.
func (c *Context) KeepSent(message []byte, d Deflate) {
	if d.KeepsSent {
		c.Sent = slide(c.Sent, message, d.sentContext())
	}
}

// KeepReceived adds a message that was received compressed, in its inflated form, to the context.
func (c *Context) KeepReceived(message []byte, d Deflate) {
	if d.ReceivedBits != 0 {
		c.Received = slide(c.Received, message, 1<<d.ReceivedBits)
	}
}

// sentContext is half of the window; the other half is for the part that refers to it.
func (d Deflate) sentContext() int { return 1 << (d.WindowBits - 1) }

// slide returns the last octets of kept and came together, at most size.
func slide(kept, came []byte, size int) []byte {
	if len(came) >= size {
		return append(kept[:0], came[len(came)-size:]...)
	}
	if over := len(kept) + len(came) - size; over > 0 {
		kept = kept[:copy(kept, kept[over:])]
	}
	return append(kept, came...)
}
