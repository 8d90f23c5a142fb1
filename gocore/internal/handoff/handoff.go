// Package handoff is Go's side of the border: the layouts of bridge.h, writing the inbox and reading the outbox.
//
// Who may access what, and when:
//
//   - The inbox (events, request views, the bytes they point to) is mmapped memory of the server, twice. A turn fills one of the two
//     with the GIL released. C may read it until the end of the next turn; that turn fills the other one.
//   - The outbox is memory of C. C fills it while Python runs; during a turn Go reads it and C does not access it.
//   - A borrowed body (BodyRef) is memory of a Python object. C keeps it alive until its token returns in an EventRelease.
//
// So C and Go never access the same byte at the same time with one of them writing, and no lock is needed.
package handoff

import (
	"bytes"
	"unsafe"

	"saltare/gocore/internal/http1"
)

// The kinds and flags of bridge.h, in its order; proofs.go checks that they are equal.
const (
	EventRequest = 1 + iota
	EventBody
	EventDisconnect
	EventDrained
	EventRelease
	EventFD
	EventLog
	EventRetire
	EventWSExpect
	EventWSData
	EventWSClose
	EventHalfClose
)

const (
	EventLast      = 1
	EventContinue  = 2
	EventSilent    = 4
	EventWebSocket = 8
	EventText      = 16
	EventCodings   = 32
	EventCancel    = 64
	EventID        = 128
	EventTrace     = 256
	EventTLS       = 512
)

const (
	LogDebug   = 1
	LogError   = 2
	LogWarning = 3
)

const (
	CommandStart = 1 + iota
	CommandBody
	CommandBodyRef
	CommandFile
	CommandTrailers
	CommandConsumed
	CommandContinue
	CommandNotify
	CommandAbort
	CommandWSAccept
	CommandWSSend
	CommandWSSendRef
	CommandWSClose
)

const (
	CommandMore  = 1
	CommandText  = 2
	CommandWhole = 4
)

const (
	TurnInterrupted = 1
	TurnMore        = 2
	TurnEmpty       = 4
	TurnQuiet       = 8
	TurnPause       = 16
)

const (
	FamilyUnix  = 0
	FamilyInet  = 4
	FamilyInet6 = 6
)

const (
	SchemeHTTP  = 1
	SchemeHTTPS = 2
)

// Event is struct saltare_event. Data points outside Go's heap.
type Event struct {
	Kind, Flags uint32
	Stream      uint64
	Data        uintptr
	Len         uint64
}

// Address is struct saltare_address.
type Address struct {
	IP     [16]byte
	Port   uint16
	Family uint16
}

var mapped = []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff") // RFC 4291 2.5.5.2

// Octets are those of the IP address, 4 or 16; none if there is none. An IPv4-mapped IPv6 address is an IPv4 address.
func (a *Address) Octets() []byte {
	switch {
	case a.Family == FamilyInet:
		return a.IP[:4]
	case a.Family != FamilyInet6:
		return nil
	case bytes.HasPrefix(a.IP[:], mapped):
		return a.IP[len(mapped):]
	}
	return a.IP[:]
}

// Request is struct saltare_request. The pointers point outside Go's heap.
type Request struct {
	Head, Path, Fields, Body uintptr
	Subprotocols             uintptr
	PathLen, NFields         uint32
	BodyLen                  uint32
	Method, RawPath, Query   http1.Span
	Minor                    uint32
	Listener                 uint32
	NSubprotocols            uint32
	Client, Local            Address
	Scheme, Port             uint32
	Host, Prefix             http1.Span
}

// TLS is struct saltare_tls. The pointers point into Go's heap, to what Inbox.Hold keeps.
type TLS struct {
	Key                        [32]byte
	Server, Chain              uintptr
	Lengths, Name              uintptr
	ServerLen, NChain, NameLen uint32
	Version, Suite             uint32
}

// Command is struct saltare_command.
type Command struct {
	Kind, Flags uint16
	Arg         uint32
	Stream      uint64
	Len         uint64
}

// BodyRef is struct saltare_body_ref.
type BodyRef struct {
	Ptr   uintptr
	Len   uint64
	Token uint64
}

// File is struct saltare_file.
type File struct {
	Offset, Len uint64
	FD          int32
}

// Range is struct saltare_range.
type Range struct{ Start, End uintptr }

const commandSize = uint64(unsafe.Sizeof(Command{}))

// Next splits the first command off the outbox. The command and its payload point into the outbox. ok is false at its end.
func Next(outbox []byte) (c *Command, payload, rest []byte, ok bool) {
	if uint64(len(outbox)) < commandSize {
		return nil, nil, nil, false
	}
	c = (*Command)(unsafe.Pointer(unsafe.SliceData(outbox)))
	end := commandSize + c.Len
	payload = outbox[commandSize:end]
	return c, payload, outbox[min((end+7)&^7, uint64(len(outbox))):], true
}

// WholeBody is the size of the body that the command after a CommandStart with CommandWhole holds.
func WholeBody(start *Command) uint64 {
	body := (*Command)(unsafe.Add(unsafe.Pointer(start), (commandSize+start.Len+7)&^7))
	if body.Kind != CommandBodyRef && body.Kind != CommandFile {
		return body.Len
	}
	payload := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(body), commandSize)), body.Len)
	if body.Kind == CommandBodyRef {
		return Ref(payload).Len
	}
	return FileOf(payload).Len
}

// Ref interprets the payload of a CommandBodyRef or a CommandWSSendRef.
func Ref(payload []byte) *BodyRef {
	return (*BodyRef)(unsafe.Pointer(unsafe.SliceData(payload)))
}

// FileOf interprets the payload of a CommandFile.
func FileOf(payload []byte) *File {
	return (*File)(unsafe.Pointer(unsafe.SliceData(payload)))
}

// Static views a constant as a slice that C may read at any time.
func Static(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Bytes views memory outside Go's heap as a slice.
func Bytes(ptr uintptr, n uint64) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&ptr))), n)
}
