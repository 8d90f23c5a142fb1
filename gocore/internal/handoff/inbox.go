// The inbox: events, and the arena that holds what they point to.  per turn

package handoff

import (
	"unsafe"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

const eventsBytes = limits.Events * int(unsafe.Sizeof(Event{}))

// Inbox is what one turn gives. Its memory is mapped, and touched only as far as it is used.
type Inbox struct {
	memory []byte // events, then the arena
	n      int
	used   int
	late   pool.List[Event] // those without data that found no room
	stored [][]byte         // mapped for what the arena has no room for
}

// OpenInbox maps an empty inbox.
func OpenInbox() (*Inbox, error) {
	memory, err := pool.Map(eventsBytes + limits.ArenaBytes)
	if err != nil {
		return nil, err
	}
	return &Inbox{memory: memory}, nil
}

// Close unmaps it.
func (b *Inbox) Close() {
	b.dropStored()
	b.late.Close()
	pool.Unmap(b.memory)
}

// Reset begins a turn: what the last one gave is void, and what it had no room for comes first.
func (b *Inbox) Reset() {
	b.n, b.used = 0, 0
	b.dropStored()
	n := min(b.late.Len(), limits.Events)
	for _, e := range b.late.Items()[:n] {
		b.Add(e)
	}
	b.late.Drop(n)
}

// Events is where the events are, and how many.
func (b *Inbox) Events() (ptr uintptr, n int) {
	return uintptr(unsafe.Pointer(&b.memory[0])), b.n
}

// Empty tells whether nothing was added since Reset.
func (b *Inbox) Empty() bool { return b.n == 0 }

// Late tells whether events wait for the next turn.
func (b *Inbox) Late() bool { return b.late.Len() > 0 }

// HasRoom tells whether one more step of a connection fits.
func (b *Inbox) HasRoom() bool { return b.n+limits.EventsPerStep <= limits.Events }

// Add appends an event. Without room it waits for the next turn, so whoever adds one with data asks HasRoom first.
func (b *Inbox) Add(e Event) {
	if b.n == limits.Events {
		b.late.Append(e)
		return
	}
	*(*Event)(unsafe.Pointer(&b.memory[b.n*int(unsafe.Sizeof(e))])) = e
	b.n++
}

// Release gives a borrowed body back.
func (b *Inbox) Release(token uint64) {
	b.Add(Event{Kind: EventRelease, Stream: token})
}

// Free is the unused end of the arena.
func (b *Inbox) Free() []byte { return b.memory[eventsBytes+b.used:] }

// Keep makes the first n bytes of Free part of this turn.
func (b *Inbox) Keep(n int) { b.used = min((b.used+n+7)&^7, limits.ArenaBytes) }

// Pointer is where b is, for an event; nil for no bytes.
func Pointer(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// Fields views the free end of the arena behind the first n bytes as room for limits.MaxFields fields.
func (b *Inbox) Fields(n int) []http1.Field {
	at := b.Free()[(n+7)&^7:]
	return unsafe.Slice((*http1.Field)(unsafe.Pointer(&at[0])), limits.MaxFields)
}

// Store copies what was made in this turn to where C may look at it.
func (b *Inbox) Store(data []byte) ([]byte, error) {
	to := b.Free()
	if len(data)+limits.ViewBytes > len(to) {
		var err error
		if to, err = pool.Map(max(len(data), 1)); err != nil {
			return nil, err
		}
		b.stored = append(b.stored, to)
	} else {
		b.Keep(len(data))
	}
	return to[:copy(to, data)], nil
}

func (b *Inbox) dropStored() {
	for _, mapped := range b.stored {
		pool.Unmap(mapped)
	}
	b.stored = b.stored[:0]
}

// NewRequest takes a zeroed view from the arena.
func (b *Inbox) NewRequest() *Request {
	r := (*Request)(unsafe.Pointer(&b.Free()[0]))
	*r = Request{}
	b.Keep(int(unsafe.Sizeof(*r)))
	return r
}

// KeepSpans copies spans into the arena.
func (b *Inbox) KeepSpans(spans []http1.Span) uintptr {
	at := b.Free()
	copy(unsafe.Slice((*http1.Span)(unsafe.Pointer(&at[0])), len(spans)), spans)
	b.Keep(len(spans) * int(unsafe.Sizeof(http1.Span{})))
	return Pointer(at)
}

// Trim gives back the memory of an empty inbox; its next use finds zeroes.
func (b *Inbox) Trim() {
	if b.n > 0 {
		return
	}
	pool.Discard(b.memory)
	b.late.Release()
	b.stored = pool.Fitted(b.stored)
}
