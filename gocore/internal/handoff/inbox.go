// The inbox: events, and the arena that holds the data they point to. There are two inboxes, which swap at each turn.

package handoff

import (
	"os"
	"slices"
	"unsafe"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

const eventsBytes = limits.Events * int(unsafe.Sizeof(Event{}))

// Inbox holds the results of a turn. Its memory is mapped, and resident only as far as it is used. The previous results stay intact
// while a turn fills the other side, so that C can still read them.
type Inbox struct {
	side                  // being filled
	last side             // results of the previous turn
	view int              // largest size of a request's view
	late pool.List[Event] // events without data that found no room
}

// side is one of the two inboxes: events, then the arena, into which a turn also reads.
type side struct {
	memory []byte
	n      int      // number of events
	used   int      // bytes of the arena in use
	stored [][]byte // mapped for data that the arena has no room for
	held   []any    // kept from Go's collector
}

// OpenInbox maps an empty inbox for requests with heads of at most headBytes and views of at most view bytes.
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

// View is how many bytes of Free to leave for the view of a request.
func (b *Inbox) View() int { return b.view }

func (b *Inbox) Close() {
	b.late.Close()
	for _, s := range [...]*side{&b.side, &b.last} {
		s.empty()
		if s.memory != nil {
			pool.Unmap(s.memory)
		}
	}
}

// Reset begins a turn: the results before the previous ones are void, and late events come first.
func (b *Inbox) Reset() {
	b.side, b.last = b.last, b.side
	b.empty()
	n := min(b.late.Len(), limits.Events)
	for _, e := range b.late.Items()[:n] {
		b.Add(e)
	}
	b.late.Drop(n)
}

// Rewind restarts a turn that has no events yet: bytes kept of incomplete input are void.
func (b *Inbox) Rewind() { b.empty() }

func (s *side) empty() {
	s.n, s.used = 0, 0
	for _, mapped := range s.stored {
		pool.Unmap(mapped)
	}
	s.stored = s.stored[:0]
	if len(s.held) > 0 {
		clear(s.held)
		s.held = s.held[:0]
	}
}

// Events is the address of the events, and their number.
func (b *Inbox) Events() (ptr uintptr, n int) {
	return uintptr(unsafe.Pointer(&b.memory[0])), b.n
}

// Empty tells whether nothing was added since Reset.
func (b *Inbox) Empty() bool { return b.n == 0 }

func (b *Inbox) Late() bool { return b.late.Len() > 0 }

// HasRoom tells whether the events of one more step of a connection fit.
func (b *Inbox) HasRoom() bool { return b.n+limits.EventsPerStep <= limits.Events }

// Add appends an event. Without room the event waits for the next turn, so callers check HasRoom before an event with data.
func (b *Inbox) Add(e Event) {
	if b.n == limits.Events {
		b.late.Append(e)
		return
	}
	*(*Event)(unsafe.Pointer(&b.memory[b.n*int(unsafe.Sizeof(e))])) = e
	b.n++
}

// Release tells C to release a borrowed body.
func (b *Inbox) Release(token uint64) {
	b.Add(Event{Kind: EventRelease, Stream: token})
}

func (b *Inbox) Free() []byte { return b.memory[eventsBytes+b.used:] }

// Keep reserves the first n bytes of Free for this turn.
func (b *Inbox) Keep(n int) { b.used = min((b.used+n+7)&^7, len(b.memory)-eventsBytes) }

// Pointer is the address of b, for an event; nil for no bytes.
func Pointer(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// Numbers is the address of numbers; nil for none.
func Numbers(all []uint32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(all))) }

// Fields views the free part of the arena, after its first n bytes, as room for that many fields.
func (b *Inbox) Fields(n, fields int) []http1.Field {
	at := b.Free()[(n+7)&^7:]
	return unsafe.Slice((*http1.Field)(unsafe.Pointer(&at[0])), fields)
}

// Store copies data of this turn to memory that C may read. The error is that of mmap.
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

// NewRequest allocates a zeroed view in the arena.
func (b *Inbox) NewRequest() *Request {
	r := (*Request)(unsafe.Pointer(&b.Free()[0]))
	*r = Request{}
	b.Keep(int(unsafe.Sizeof(*r)))
	return r
}

// NewTLS allocates a zeroed view behind that of the request just allocated.
func (b *Inbox) NewTLS() *TLS {
	t := (*TLS)(unsafe.Pointer(&b.Free()[0]))
	*t = TLS{}
	b.Keep(int(unsafe.Sizeof(*t)))
	return t
}

// Hold keeps memory of Go's heap as long as C may read this turn's results.
func (b *Inbox) Hold(what any) {
	if n := len(b.held); n == 0 || b.held[n-1] != what {
		b.held = append(b.held, what)
	}
}

// KeepSpans copies spans into the arena.
func (b *Inbox) KeepSpans(spans []http1.Span) uintptr {
	at := b.Free()
	copy(unsafe.Slice((*http1.Span)(unsafe.Pointer(&at[0])), len(spans)), spans)
	b.Keep(len(spans) * int(unsafe.Sizeof(http1.Span{})))
	return Pointer(at)
}

// Trim releases memory that neither side uses; it is zeroed when used again.
func (b *Inbox) Trim() {
	b.side.trim()
	b.last.trim()
	b.late.Release()
}

func (s *side) trim() {
	discardFrom(s.memory[:eventsBytes], s.n*int(unsafe.Sizeof(Event{})))
	discardFrom(s.memory[eventsBytes:], s.used)
	s.stored = pool.Fitted(s.stored)
	s.held = slices.Clip(s.held)
}

// discardFrom discards the pages of b after its first n bytes.
func discardFrom(b []byte, n int) {
	if n = (n + pageBytes - 1) &^ (pageBytes - 1); n < len(b) {
		pool.Discard(b[n:])
	}
}

var pageBytes = os.Getpagesize()

// Compile-time check that the arena begins at a page boundary, for every page size of Linux.
const _ = uint(-(eventsBytes % (64 << 10)))
