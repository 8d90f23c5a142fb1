// The inbox: events, and the arena that holds what they point to. There are two that swap at the turn.

package handoff

import (
	"os"
	"unsafe"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

const eventsBytes = limits.Events * int(unsafe.Sizeof(Event{}))

// Inbox is what a turn gives. Its memory is mapped, and touched only as far as it is used. What it gave last is left alone while it is
// filled again, so that C may still read that.
type Inbox struct {
	side                  // that is filled
	last side             // what was given last
	view int              // bytes that the view of a request may take
	late pool.List[Event] // events without data that found no room
}

// side is one of the two inboxes: events, then the arena, which is also what a turn reads into.
type side struct {
	memory []byte
	n      int      // events
	used   int      // of the arena
	stored [][]byte // mapped for what the arena has no room for
}

// OpenInbox maps an empty inbox for requests whose heads have at most headBytes and whose views take at most view.
func OpenInbox(headBytes, view int) (*Inbox, error) {
	b := &Inbox{view: view}
	for _, s := range [...]*side{&b.side, &b.last} {
		memory, err := pool.Map(eventsBytes + limits.Arena(headBytes, view))
		if err != nil {
			b.Close()
			return nil, err
		}
		s.memory = memory
	}
	return b, nil
}

// View is how much of Free is to be left for the view of a request.
func (b *Inbox) View() int { return b.view }

// Close unmaps it.
func (b *Inbox) Close() {
	b.late.Close()
	for _, s := range [...]*side{&b.side, &b.last} {
		s.empty()
		if s.memory != nil {
			pool.Unmap(s.memory)
		}
	}
}

// Reset begins a turn: what was given before the last one is void, and what found no room comes first.
func (b *Inbox) Reset() {
	b.side, b.last = b.last, b.side
	b.empty()
	n := min(b.late.Len(), limits.Events)
	for _, e := range b.late.Items()[:n] {
		b.Add(e)
	}
	b.late.Drop(n)
}

// Rewind goes on with a turn that has given nothing yet: what it kept of beginnings is void.
func (b *Inbox) Rewind() { b.empty() }

func (s *side) empty() {
	s.n, s.used = 0, 0
	for _, mapped := range s.stored {
		pool.Unmap(mapped)
	}
	s.stored = s.stored[:0]
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
func (b *Inbox) Keep(n int) { b.used = min((b.used+n+7)&^7, len(b.memory)-eventsBytes) }

// Pointer is where b is, for an event; nil for no bytes.
func Pointer(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// Fields views the free end of the arena behind the first n bytes as room for so many fields.
func (b *Inbox) Fields(n, fields int) []http1.Field {
	at := b.Free()[(n+7)&^7:]
	return unsafe.Slice((*http1.Field)(unsafe.Pointer(&at[0])), fields)
}

// Store copies what was made in this turn to where C may look at it.
func (b *Inbox) Store(data []byte) ([]byte, error) {
	to := b.Free()
	if len(data)+b.view > len(to) {
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

// Trim gives back the memory that neither side uses; its next use finds zeroes.
func (b *Inbox) Trim() {
	b.side.trim()
	b.last.trim()
	b.late.Release()
}

func (s *side) trim() {
	discardFrom(s.memory[:eventsBytes], s.n*int(unsafe.Sizeof(Event{})))
	discardFrom(s.memory[eventsBytes:], s.used)
	s.stored = pool.Fitted(s.stored)
}

// discardFrom gives back the pages of b behind its first n bytes.
func discardFrom(b []byte, n int) {
	if n = (n + pageBytes - 1) &^ (pageBytes - 1); n < len(b) {
		pool.Discard(b[n:])
	}
}

var pageBytes = os.Getpagesize()

// Proof that the arena begins with a page, of any size that Linux has.
const _ = uint(-(eventsBytes % (64 << 10)))
