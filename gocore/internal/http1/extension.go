// Chunk extensions: checked octet by octet, then dropped (RFC 9112 7.1.1).

package http1

import (
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/octet"
)

// extensionOctet is the kind of an octet between the size of a chunk and the end of its line.
type extensionOctet uint8

const (
	otherOctet extensionOctet = iota // text that is none of the others: only in quoted strings
	tokenOctet
	spaceOctet
	semicolon
	equals
	quote
	backslash
	returnOctet // CR
	extensionOctets
)

func extensionOctetOf(b byte) (o extensionOctet, ok bool) {
	switch b {
	case ' ', '\t':
		return spaceOctet, true
	case ';':
		return semicolon, true
	case '=':
		return equals, true
	case '"':
		return quote, true
	case '\\':
		return backslash, true
	case '\r':
		return returnOctet, true
	}
	if octet.Class[b]&octet.Token != 0 {
		return tokenOctet, true
	}
	return otherOctet, octet.Class[b]&octet.Text != 0
}

// extensionSteps has the next state; a missing entry (inSize, which never follows) is malformed. Whitespace is allowed only around
// ";" and "=".
var extensionSteps = [inData][extensionOctets]chunkState{
	beforeExtension:      {spaceOctet: beforeExtension, semicolon: inExtensionName},
	inExtensionName:      {spaceOctet: inExtensionName, tokenOctet: inExtension},
	inExtension:          {tokenOctet: inExtension, spaceOctet: behindExtension, semicolon: inExtensionName, equals: inExtensionValue, returnOctet: afterSize},
	behindExtension:      {spaceOctet: behindExtension, semicolon: inExtensionName, equals: inExtensionValue},
	inExtensionValue:     {spaceOctet: inExtensionValue, tokenOctet: inExtensionToken, quote: inExtensionQuotes},
	inExtensionToken:     {tokenOctet: inExtensionToken, spaceOctet: beforeExtension, semicolon: inExtensionName, returnOctet: afterSize},
	inExtensionQuotes:    {otherOctet: inExtensionQuotes, tokenOctet: inExtensionQuotes, spaceOctet: inExtensionQuotes, semicolon: inExtensionQuotes, equals: inExtensionQuotes, backslash: inExtensionEscape, quote: behindExtensionValue},
	inExtensionEscape:    {otherOctet: inExtensionQuotes, tokenOctet: inExtensionQuotes, spaceOctet: inExtensionQuotes, semicolon: inExtensionQuotes, equals: inExtensionQuotes, backslash: inExtensionQuotes, quote: inExtensionQuotes},
	behindExtensionValue: {spaceOctet: beforeExtension, semicolon: inExtensionName, returnOctet: afterSize},
}

// extension processes an octet between a size and its CR.
func (c *Chunked) extension(b byte) *message.Refusal {
	if c.count++; c.count > limits.MaxChunkExtensionBytes && b != '\r' {
		return ExtensionTooLong
	}
	octet, ok := extensionOctetOf(b)
	next := extensionSteps[c.state][octet]
	if !ok || next == inSize {
		return badExtension
	}
	c.state = next
	return nil
}
