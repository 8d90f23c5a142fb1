// What is known of requests because of options: their ids and traces, which their responses and lines of the access log repeat. It is in
// tables of its own, which are empty without these options.

package exchange

import (
	"time"

	"saltare/gocore/internal/limits"
)

// Names are what options want to know of a request, nil: nothing.
type Names struct {
	ID, Traceparent []byte
	Secure          bool // the client speaks TLS, to us or to a proxy that is believed
}

// names are those of one request. They lie outside Go's heap.
type names struct {
	id     [limits.RequestIDBytes]byte
	trace  [limits.TraceparentBytes]byte
	size   uint8 // of the id; 0: none
	traced bool
	secure bool
}

// Compile-time check that the size of an id fits.
const _ = uint8(limits.RequestIDBytes)

// Name notes the names of a request. The error is that of mmap.
func (x *Streams) Name(s *Stream, given Names) error {
	number, n, err := x.named.Alloc()
	if err != nil {
		return err
	}
	n.size, n.traced, n.secure = uint8(copy(n.id[:], given.ID)), copy(n.trace[:], given.Traceparent) > 0, given.Secure
	for x.byStream.Len() <= int(s.number) {
		x.byStream.Append(0)
	}
	x.byStream.Items()[s.number] = number + 1
	return nil
}

// NamesOf are the names of a request, until it is dropped.
func (x *Streams) NamesOf(s *Stream) (given Names) {
	all := x.byStream.Items()
	if int(s.number) >= len(all) || all[s.number] == 0 {
		return given
	}
	n := x.named.At(all[s.number] - 1)
	given.Secure = n.secure
	if n.size > 0 {
		given.ID = n.id[:n.size]
	}
	if n.traced {
		given.Traceparent = n.trace[:]
	}
	return given
}

// forget drops the names of a stream that is over.
func (x *Streams) forget(number uint32) {
	all := x.byStream.Items()
	if int(number) >= len(all) || all[number] == 0 {
		return
	}
	x.named.Free(all[number] - 1)
	all[number] = 0
	for n := len(all); n > 0 && all[n-1] == 0; n-- {
		x.byStream.Pop()
	}
}

// Lasted is the time since the head of the request.
func (x *Streams) Lasted(s *Stream) time.Duration { return x.loop.Clock.Elapsed - s.began }
