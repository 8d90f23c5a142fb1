// The outbox as Go reads it, and the layouts that C writes.

package handoff

import (
	"bytes"
	"testing"
	"unsafe"
)

// put appends a command as py_outbox.c does.
func put(outbox []byte, c Command, payload []byte) []byte {
	c.Len = uint64(len(payload))
	outbox = append(outbox, unsafe.Slice((*byte)(unsafe.Pointer(&c)), commandSize)...)
	outbox = append(outbox, payload...)
	return append(outbox, make([]byte, -len(outbox)&7)...)
}

func TestCommandsComeOffInTheirOrder(t *testing.T) {
	var outbox []byte
	var payloads [][]byte
	for n := range 40 {
		payload := bytes.Repeat([]byte{byte(n)}, n)
		payloads = append(payloads, payload)
		outbox = put(outbox, Command{Kind: CommandBody, Flags: CommandMore, Arg: uint32(n), Stream: uint64(n) << 32}, payload)
	}
	for n, want := range payloads {
		c, payload, rest, ok := Next(outbox)
		if !ok || c.Kind != CommandBody || c.Flags != CommandMore || c.Arg != uint32(n) || c.Stream != uint64(n)<<32 {
			t.Fatalf("command %d: %+v, %v", n, c, ok)
		}
		if !bytes.Equal(payload, want) {
			t.Errorf("payload %d: %q", n, payload)
		}
		outbox = rest
	}
	if _, _, _, ok := Next(outbox); ok {
		t.Error("a command after the last one")
	}
}

func TestTheLastPayloadNeedNoPadding(t *testing.T) {
	outbox := put(nil, Command{Kind: CommandBody}, []byte("abc"))
	_, payload, rest, ok := Next(outbox[:commandSize+3])
	if !ok || string(payload) != "abc" || len(rest) != 0 {
		t.Errorf("%q, %d bytes left, %v", payload, len(rest), ok)
	}
}

func TestABorrowedBodyIsSeenWhereItLies(t *testing.T) {
	body := []byte("somebody else's")
	ref := BodyRef{Ptr: Pointer(body), Len: uint64(len(body)), Token: 42}
	outbox := put(nil, Command{Kind: CommandBodyRef}, unsafe.Slice((*byte)(unsafe.Pointer(&ref)), unsafe.Sizeof(ref)))
	_, payload, _, _ := Next(outbox)
	got := Ref(payload)
	if *got != ref {
		t.Fatalf("%+v", got)
	}
	if seen := Bytes(got.Ptr, got.Len); &seen[0] != &body[0] || len(seen) != len(body) {
		t.Error("the bytes were copied")
	}
}

func TestTheSizeOfAWholeBody(t *testing.T) {
	body := make([]byte, 70_000)
	ref := BodyRef{Ptr: Pointer(body), Len: uint64(len(body)), Token: 42}
	file := File{Offset: 3, Len: 1 << 40, FD: 7}
	for name, c := range map[string]struct {
		kind    uint16
		payload []byte
		want    uint64
	}{
		"copied": {CommandBody, body[:5], 5},
		"empty":  {CommandBody, nil, 0},
		"lent":   {CommandBodyRef, unsafe.Slice((*byte)(unsafe.Pointer(&ref)), unsafe.Sizeof(ref)), 70_000},
		"file":   {CommandFile, unsafe.Slice((*byte)(unsafe.Pointer(&file)), unsafe.Sizeof(file)), 1 << 40},
	} {
		for fields := range 9 {
			outbox := put(put(nil, Command{Kind: CommandStart, Flags: CommandWhole}, body[:fields]), Command{Kind: c.kind}, c.payload)
			if start, _, _, _ := Next(outbox); WholeBody(start) != c.want {
				t.Errorf("%s, behind %d bytes of fields: %d", name, fields, WholeBody(start))
			}
		}
	}
}

func TestSizesOfRecords(t *testing.T) {
	for name, c := range map[string][2]uintptr{
		"Event":   {unsafe.Sizeof(Event{}), 32},
		"Address": {unsafe.Sizeof(Address{}), 20},
		"Request": {unsafe.Sizeof(Request{}), 152},
		"Command": {unsafe.Sizeof(Command{}), 24},
		"BodyRef": {unsafe.Sizeof(BodyRef{}), 24},
	} {
		if c[0] != c[1] {
			t.Errorf("%s takes %d bytes, not %d", name, c[0], c[1])
		}
	}
}
