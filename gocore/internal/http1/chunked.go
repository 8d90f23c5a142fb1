// Incremental decoding of chunked bodies (RFC 9112 7.1).

package http1

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// Chunked is the state of a chunked body between two reads. The zero value is ready for its start.
type Chunked struct {
	left   int64  // octets of chunk data to come, or the size read so far
	count  uint16 // octets so far of the extension or the trailer section
	digits uint8
	state  chunkState
}

type chunkState uint8

const (
	inSize          chunkState = iota // hex digits
	beforeExtension                   // whitespace, only ";" may follow
	inExtensionName                   // after ";", before the name
	inExtension
	behindExtension  // whitespace after the name
	inExtensionValue // after "=", before the value
	inExtensionToken
	inExtensionQuotes
	inExtensionEscape
	behindExtensionValue // after the closing quote
	afterSize            // after CR
	inData
	afterData   // expecting CR
	afterDataCR // expecting LF
	atTrailer   // at the start of a line of the trailer section
	inTrailerName
	inTrailerValue
	afterTrailer // after the CR of a field line
	atEnd        // after the CR of the empty line
	isOver
)

// Next decodes n octets of the body from buf. data, a part of buf, is their content and may be empty. done: the body is complete, and
// what follows belongs to the next request. If done is false, call again with the rest of buf while there is any. After done or a
// refusal do not call again.
//
// Next takes as much as yields one piece of content, so the last piece comes with done if the end of the body is in buf. Extensions
// and trailer fields are checked and dropped.
func (c *Chunked) Next(buf []byte) (data []byte, n int, done bool, r *message.Refusal) {
	for n < len(buf) {
		if c.state == inData {
			if data != nil {
				return data, n, false, nil
			}
			size := int(min(c.left, int64(len(buf)-n)))
			data = buf[n : n+size : n+size]
			n += size
			if c.left -= int64(size); c.left == 0 {
				c.state = afterData
			}
			continue
		}
		if r = c.step(buf[n]); r != nil {
			return nil, n, false, r
		}
		n++
		if c.state == isOver {
			return data, n, true, nil
		}
	}
	return data, n, false, nil
}

// step processes one octet that is not content.
func (c *Chunked) step(b byte) *message.Refusal {
	switch c.state {
	case inSize:
		return c.size(b)
	case afterSize:
		return c.sizeEnd(b)
	case afterData:
		return c.want(b, '\r', afterDataCR, badChunkEnd)
	case afterDataCR:
		return c.want(b, '\n', inSize, badChunkEnd)
	}
	if c.state < afterSize {
		return c.extension(b)
	}
	return c.trailer(b)
}

func (c *Chunked) want(b, wanted byte, next chunkState, r *message.Refusal) *message.Refusal {
	if b != wanted {
		return r
	}
	c.state = next
	return nil
}

func (c *Chunked) size(b byte) *message.Refusal {
	if octet.Class[b]&octet.HexDig != 0 {
		if c.digits++; c.digits > limits.MaxChunkSizeDigits {
			return HugeChunk
		}
		c.left = c.left<<4 | int64(hexValue(b))
		return nil
	}
	if c.digits == 0 {
		return badChunkSize
	}
	switch b {
	case '\r':
		c.state = afterSize
	case ';':
		c.state = inExtensionName
	case ' ', '\t':
		c.state = beforeExtension
	default:
		return badChunkSize
	}
	return nil
}

// sizeEnd processes the LF of a size line and enters the state after it.
func (c *Chunked) sizeEnd(b byte) *message.Refusal {
	next := inData
	if c.left == 0 {
		next = atTrailer
	}
	c.count, c.digits = 0, 0
	return c.want(b, '\n', next, badChunkSize)
}

// trailer processes an octet of the trailer section or of the empty line that ends it. The rules are those of field lines in a head.
func (c *Chunked) trailer(b byte) *message.Refusal {
	if c.count++; c.count > limits.MaxTrailerBytes && !(c.state == atTrailer && b == '\r') && c.state != atEnd {
		return TrailerTooLarge
	}
	switch c.state {
	case atTrailer:
		if b == '\r' {
			c.state = atEnd
			return nil
		}
		return c.trailerOctet(b, octet.Token, inTrailerName)
	case inTrailerName:
		if b == ':' {
			c.state = inTrailerValue
			return nil
		}
		return c.trailerOctet(b, octet.Token, inTrailerName)
	case inTrailerValue:
		if b == '\r' {
			c.state = afterTrailer
			return nil
		}
		return c.trailerOctet(b, octet.Text, inTrailerValue)
	case afterTrailer:
		return c.want(b, '\n', atTrailer, badTrailer)
	}
	return c.want(b, '\n', isOver, badTrailer)
}

func (c *Chunked) trailerOctet(b, of uint8, next chunkState) *message.Refusal {
	if octet.Class[b]&of == 0 {
		return badTrailer
	}
	c.state = next
	return nil
}
