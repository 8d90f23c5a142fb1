// permessage-deflate at work (RFC 7692 7.2).  per message

package websocket

import (
	"compress/flate"
	"io"

	"saltare/gocore/internal/limits"
)

// tail is what a sender leaves away, and an empty last block, so that what inflates sees an end.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

const tailLeftAway = 4

// Inflater inflates messages, one after the other. Its zero value is ready; once it was used it holds some 45 KiB, for all connections.
type Inflater struct {
	from   packed
	stream io.ReadCloser
}

// packed reads a message, then its tail.
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

// ReadByte keeps the library from buffering.
func (p *packed) ReadByte() (byte, error) {
	var b [1]byte
	_, err := p.Read(b[:])
	return b[0], err
}

// Inflate appends a whole message to dst. What came before it is no part of its window.
func (f *Inflater) Inflate(dst, message []byte, maxBytes uint64, text bool) ([]byte, *Failure) {
	f.reset(message)
	defer f.reset(nil)
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

func (f *Inflater) reset(message []byte) {
	f.from = packed{message, tail}
	if f.stream == nil {
		f.stream = flate.NewReader(&f.from)
		return
	}
	_ = f.stream.(flate.Resetter).Reset(&f.from, nil)
}

// Deflater deflates messages, one after the other. Its zero value is ready; once it was used it holds some 1.2 MiB, for all
// connections.
type Deflater struct {
	to     appended
	stream *flate.Writer
}

// appended is a slice that is written to.
type appended struct{ b []byte }

func (a *appended) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// AppendDeflated appends a whole message of at least one octet as the peer's window allows. Parts of the size of a window that know
// nothing of each other are in any window. What is written to can't fail, so nothing here does.
func (f *Deflater) AppendDeflated(dst, message []byte, d Deflate) []byte {
	f.to.b = dst
	if f.stream == nil {
		f.stream, _ = flate.NewWriter(&f.to, flate.BestSpeed)
	}
	size := len(message)
	if d.WindowBits < mostBits {
		size = 1 << d.WindowBits
	}
	for len(message) > 0 {
		n := min(size, len(message))
		f.stream.Reset(&f.to)
		_, _ = f.stream.Write(message[:n])
		_ = f.stream.Flush()
		message = message[n:]
	}
	dst, f.to.b = f.to.b, nil
	return dst[:len(dst)-tailLeftAway]
}
