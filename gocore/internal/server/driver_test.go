// C's side of a server, simulated by tests: they fill an outbox, take turns and read the inbox.

package server_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

// hang ends a test that would wait for ever; no test is expected to take this long.
const hang = 20 * time.Second

// event is a handoff.Event with what it points to, copied as C copies it.
type event struct {
	handoff.Event
	data    string
	request *request
}

// request is a handoff.Request with what it points to.
type request struct {
	handoff.Request
	method, path, query, body string
	fields                    [][2]string
}

// driver drives one server that listens on 127.0.0.1.
type driver struct {
	*testing.T
	server   *server.Server
	listener int
	port     int
	outbox   []byte
	flags    uint32  // of the last turn
	empty    bool    // a turn reported that the last connection is gone
	kept     []event // not returned by any expect yet
	released []uint64
	lent     [][]byte // referenced here, since the server knows memory that it borrows by address only
	ended    error    // how the peer's stream ended in the last receive

	ahead  time.Duration // ahead of the system's clock
	frozen time.Time     // the time that the stopped clock shows
}

func open(t *testing.T, config server.Config) *driver {
	t.Helper()
	d := &driver{T: t}
	config.Now = d.now
	s, err := server.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	d.server = s
	d.listen()
	t.Cleanup(d.close)
	return d
}

// openFrozen is open with a clock that only skip moves: on a busy machine too, no deadline comes unless the test says so.
func openFrozen(t *testing.T, config server.Config) *driver {
	t.Helper()
	d := open(t, config)
	d.frozen = d.now()
	return d
}

// now is the clock of the server.
func (d *driver) now() time.Time {
	if !d.frozen.IsZero() {
		return d.frozen
	}
	return time.Now().Add(d.ahead)
}

// skip advances the server's clock at once.
func (d *driver) skip(long time.Duration) {
	if d.frozen.IsZero() {
		d.ahead += long
	} else {
		d.frozen = d.frozen.Add(long)
	}
}

// thaw restarts the clock.
func (d *driver) thaw() {
	d.ahead, d.frozen = time.Until(d.frozen), time.Time{}
}

func (d *driver) listen() {
	d.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	d.must(err)
	d.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	d.must(unix.Listen(fd, 256))
	at, err := unix.Getsockname(fd)
	d.must(err)
	d.listener, d.port = fd, at.(*unix.SockaddrInet4).Port
	d.must(d.server.Listen([]transport.Listener{{FD: fd}}))
}

// close ends the server and checks that it owns nothing any more, borrowed bodies included.
func (d *driver) close() {
	d.server.Abandon()
	for _, e := range d.events() {
		d.note(e)
	}
	if s := d.server.Stats(); s.Connections+s.Streams+s.WebSockets+s.Buffers+s.Queues+s.Unsent != 0 {
		d.Errorf("left after the end: %+v", s)
	}
	d.server.Close()
	_ = unix.Close(d.listener)
}

func (d *driver) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// client connects a peer.
func (d *driver) client() *net.TCPConn {
	d.Helper()
	c, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: d.port})
	d.must(err)
	d.Cleanup(func() { _ = c.Close() })
	d.must(c.SetDeadline(time.Now().Add(hang)))
	return c
}

// send connects a peer that sends text.
func (d *driver) send(text string) *net.TCPConn {
	d.Helper()
	c := d.client()
	d.write(c, text)
	return c
}

func (d *driver) write(c net.Conn, text string) {
	d.Helper()
	_, err := c.Write([]byte(text))
	d.must(err)
}

// turn takes a turn and keeps its events.
func (d *driver) turn(timeout time.Duration) {
	d.Helper()
	wait := timeout
	if !d.frozen.IsZero() { // or it would wait for ever
		wait = 0
	}
	d.must(d.server.Turn(d.outbox, wait, nil))
	d.flags, d.outbox = d.server.Flags(), d.outbox[:0]
	d.empty = d.empty || d.flags&handoff.TurnEmpty != 0
	for _, e := range d.events() {
		d.note(e)
		d.kept = append(d.kept, e)
	}
	if wait < timeout && len(d.kept) == 0 {
		time.Sleep(min(timeout, time.Millisecond))
	}
}

func (d *driver) note(e event) {
	if e.Kind == handoff.EventRelease {
		d.released = append(d.released, e.Stream)
	}
}

// sleeps takes a turn that nothing should end early. A signal may: Go sends some to its own threads.
func (d *driver) sleeps(timeout time.Duration) {
	d.Helper()
	for {
		before := time.Now()
		d.turn(timeout)
		if d.flags == handoff.TurnInterrupted {
			continue
		}
		if slept := time.Since(before); slept < timeout-time.Millisecond || d.flags != 0 || len(d.kept) != 0 {
			d.Errorf("woke after %v of %v with flags %d and %+v", slept, timeout, d.flags, d.kept)
		}
		return
	}
}

// until takes turns until the condition holds.
func (d *driver) until(what string, holds func() bool) {
	d.Helper()
	for end := time.Now().Add(hang); !holds(); {
		if time.Now().After(end) {
			d.Fatalf("waited in vain for %s; %d events are there", what, len(d.kept))
		}
		d.turn(5 * time.Millisecond)
	}
}

// expect takes turns until an event of the kind comes; earlier ones of other kinds are kept.
func (d *driver) expect(kind uint32) (e event) {
	d.Helper()
	d.until("an event", func() bool {
		for i, one := range d.kept {
			if one.Kind == kind {
				e = one
				d.kept = append(d.kept[:i], d.kept[i+1:]...)
				return true
			}
		}
		return false
	})
	return e
}

// count returns how many events of a kind are kept.
func (d *driver) count(kind uint32) (n int) {
	for _, e := range d.kept {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (d *driver) events() (all []event) {
	ptr, n := d.server.Inbox()
	for _, e := range view[handoff.Event](ptr, n) {
		one := event{Event: e}
		switch e.Kind {
		case handoff.EventRequest:
			one.request = read(view[handoff.Request](e.Data, 1)[0])
		case handoff.EventBody, handoff.EventLog, handoff.EventWSData, handoff.EventWSClose:
			one.data = text(e.Data, e.Len)
		}
		all = append(all, one)
	}
	return all
}

// view returns the n records at ptr.
func view[T any](ptr uintptr, n int) []T {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(*(*unsafe.Pointer)(unsafe.Pointer(&ptr))), n)
}

func text(ptr uintptr, n uint64) string { return string(view[byte](ptr, int(n))) }

func read(r handoff.Request) *request {
	span := func(s http1.Span) string { return text(r.Head+uintptr(s.Off), uint64(s.Len)) }
	out := &request{Request: r, method: span(r.Method), query: span(r.Query)}
	out.path, out.body = text(r.Path, uint64(r.PathLen)), text(r.Body, uint64(r.BodyLen))
	for _, f := range view[http1.Field](r.Fields, int(r.NFields)) {
		out.fields = append(out.fields, [2]string{span(f.Name), span(f.Value)})
	}
	return out
}

// command appends a command to the outbox.
func (d *driver) command(kind, flags uint16, arg uint32, stream uint64, payload []byte) {
	c := handoff.Command{Kind: kind, Flags: flags, Arg: arg, Stream: stream, Len: uint64(len(payload))}
	d.outbox = append(d.outbox, octets(&c)...)
	d.outbox = append(d.outbox, payload...)
	d.outbox = append(d.outbox, make([]byte, -len(d.outbox)&7)...)
}

func octets[T any](record *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record))
}

// fields encodes names and values for a start.
func fields(pairs ...string) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		for _, n := range []int{len(pairs[i]), len(pairs[i+1])} {
			b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		}
		b = append(append(b, pairs[i]...), pairs[i+1]...)
	}
	return b
}

func (d *driver) start(stream uint64, status uint32, pairs ...string) {
	d.command(handoff.CommandStart, 0, status, stream, fields(pairs...))
}

func (d *driver) body(stream uint64, data string, more uint16) {
	d.command(handoff.CommandBody, more, 0, stream, []byte(data))
}

// lend sends a body that Go borrows.
func (d *driver) lend(stream, token uint64, data []byte, more uint16) {
	d.lendAs(handoff.CommandBodyRef, stream, token, data, more)
}

func (d *driver) lendAs(kind uint16, stream, token uint64, data []byte, flags uint16) {
	d.lent = append(d.lent, data)
	ref := handoff.BodyRef{Ptr: handoff.Pointer(data), Len: uint64(len(data)), Token: token}
	d.command(kind, flags, 0, stream, octets(&ref))
}

// respond sends a 200 response with a body.
func (d *driver) respond(e event, data string) {
	d.start(e.Stream, 200, "content-type", "text/plain")
	d.body(e.Stream, data, 0)
}

// receive takes turns and reads until n bytes have arrived, or until the peer's end when n is negative.
func (d *driver) receive(c *net.TCPConn, n int) string {
	d.Helper()
	var got bytes.Buffer
	piece := make([]byte, limits.ReadBytes)
	d.until("bytes", func() bool {
		for n < 0 || got.Len() < n {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			read, err := c.Read(piece)
			got.Write(piece[:read])
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return false
			}
			if err != nil && n >= 0 {
				d.Fatalf("%v after %d bytes: %.1000q", err, got.Len(), got.String())
			}
			if d.ended = err; err != nil {
				return true
			}
		}
		return true
	})
	return got.String()
}

// exchange expects a request, responds to it and returns the response.
func (d *driver) exchange(c *net.TCPConn, data string) string {
	d.Helper()
	d.respond(d.expect(handoff.EventRequest), data)
	return d.receive(c, len(responseOf(data)))
}

// responseOf is what respond puts on the wire of a connection that is kept.
func responseOf(data string) string {
	return "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(data) + "0\r\n\r\n"
}

func chunk(data string) string {
	return string(http1.AppendChunkHeader(nil, len(data))) + data + "\r\n"
}
