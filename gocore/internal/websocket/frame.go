// Package websocket is WebSocket without input or output (RFC 6455, RFC 7692): bytes in, pieces of messages out; no sockets, no
// clocks, no goroutines. In the order of a connection: Shake parses a handshake, Decoder decodes the peer's frames, the Append
// functions write the server's frames.
//
// Nothing here allocates, except to grow a buffer of the caller and for compression.
package websocket

import (
	"encoding/binary"

	"saltare/gocore/internal/limits"
)

// Opcode is the type of a frame (RFC 6455 11.8).
type Opcode uint8

const (
	opContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xa
)

// Bits that share an octet with the opcode or with the length.
const (
	finBit     = 0x80
	rsv1Bit    = 0x40
	otherBits  = 0x30
	opcodeBits = 0x0f
	controlBit = 0x08
	maskBit    = 0x80
	lengthBits = 0x7f
	length16   = 126 // the length is in the next two octets
	length64   = 127 // the length is in the next eight
)

// header is the header of a frame.
type header struct {
	opcode     Opcode
	fin        bool
	compressed bool
	mask       uint32
	size       int    // octets of the header itself
	length     uint64 // of the payload
}

// read parses a header at the start of b; complete is false if more octets are needed. An invalid header fails as soon as the octet is
// there that makes it invalid.
func (f *header) read(b []byte, mayCompress bool) (complete bool, failure *Failure) {
	if len(b) == 0 {
		return false, nil
	}
	f.opcode, f.fin, f.compressed = Opcode(b[0]&opcodeBits), b[0]&finBit != 0, b[0]&rsv1Bit != 0
	if failure := f.judge(b[0], mayCompress); failure != nil || len(b) < 2 {
		return false, failure
	}
	f.length, f.size = uint64(b[1]&lengthBits), 2
	switch {
	case b[1]&maskBit == 0:
		return false, noMask
	case f.opcode&controlBit != 0 && f.length > limits.MaxControlBytes:
		return false, longControl
	}
	if complete, failure := f.extend(b); !complete {
		return false, failure
	}
	if len(b) < f.size+4 {
		return false, nil
	}
	f.mask = binary.LittleEndian.Uint32(b[f.size:])
	f.size += 4
	return true, nil
}

// judge checks the first octet.
func (f *header) judge(first byte, mayCompress bool) *Failure {
	control := f.opcode&controlBit != 0
	switch {
	case first&otherBits != 0 || f.compressed && (!mayCompress || control || f.opcode == opContinuation):
		return reservedBits
	case f.opcode > OpBinary && f.opcode < OpClose || f.opcode > OpPong:
		return reservedOpcode
	case control && !f.fin:
		return controlFragment
	}
	return nil
}

// extend reads an extended length.
func (f *header) extend(b []byte) (complete bool, failure *Failure) {
	switch {
	case f.length < length16:
		return true, nil
	case f.length == length16:
		if len(b) < 4 {
			return false, nil
		}
		f.length, f.size = uint64(binary.BigEndian.Uint16(b[2:])), 4
		if f.length < length16 {
			return false, longLength
		}
		return true, nil
	case len(b) < 10:
		return false, nil
	}
	f.length, f.size = binary.BigEndian.Uint64(b[2:]), 10
	switch {
	case f.length>>63 != 0:
		return false, hugeLength
	case f.length <= 1<<16-1:
		return false, longLength
	}
	return true, nil
}

// AppendHeader appends the header of an unfragmented message or a control frame with a payload of n octets. A server does not mask.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	return appendHeader(dst, finBit|byte(op), n)
}

// AppendCompressedHeader is AppendHeader for a message from AppendDeflated.
func AppendCompressedHeader(dst []byte, op Opcode, n int) []byte {
	return appendHeader(dst, finBit|rsv1Bit|byte(op), n)
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < length16:
		return append(dst, first, byte(n))
	case n < 1<<16:
		return append(dst, first, length16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(n))
}
