// Percent-decoding of paths (RFC 3986 2.1).

package http1

import (
	"bytes"

	"saltare/gocore/internal/octet"
)

// DecodePath appends raw to dst with its percent-escapes decoded. "+" stays "+"; an escape without two hex digits stays as it is.
func DecodePath(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '%')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		if raw = raw[i:]; len(raw) < 3 || octet.Class[raw[1]]&octet.Class[raw[2]]&octet.HexDig == 0 {
			dst = append(dst, '%')
			raw = raw[1:]
			continue
		}
		dst = append(dst, hexValue(raw[1])<<4|hexValue(raw[2]))
		raw = raw[3:]
	}
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
