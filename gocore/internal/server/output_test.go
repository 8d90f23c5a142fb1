// Output to slow peers: what is queued, borrowed and released, and when the app may continue.

package server_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// fill sends pieces until the peer's socket and ours are full. It returns the tokens lent and the bytes sent.
func (d *driver) fill(stream uint64, piece []byte) (tokens []uint64, sent int) {
	d.start(stream, 200, "content-length", "100000000")
	for token := uint64(1); !d.stuck(); token++ {
		d.lend(stream, token, piece, handoff.CommandMore)
		tokens = append(tokens, token)
		sent += len(piece)
		d.turn(0)
	}
	return tokens, sent
}

// stuck reports whether output is unsent, and stays so.
func (d *driver) stuck() bool {
	for range 5 {
		if d.server.Stats().Unsent == 0 {
			return false
		}
		d.turn(5 * time.Millisecond)
	}
	return true
}

func TestBorrowedBytesAreGivenBackInTheirOrder(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	piece := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	tokens, sent := d.fill(e.Stream, piece)
	if slices.Contains(d.released, tokens[len(tokens)-1]) {
		t.Error("a body that is not sent yet was released")
	}
	got := d.receive(peer, sent)
	if body := got[strings.Index(got, "\r\n\r\n")+4:]; strings.ReplaceAll(body, "0123456789abcdef", "") != "" {
		t.Error("other bytes than were sent came")
	}
	d.until("all released", func() bool { return len(d.released) == len(tokens) })
	if !slices.Equal(d.released, tokens) {
		t.Errorf("released: %v of %v", d.released, tokens)
	}
}

func TestTheAppWaitsUntilLittleIsUnsent(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	_, sent := d.fill(e.Stream, make([]byte, 64<<10))
	d.lend(e.Stream, 1000, make([]byte, 64<<10), handoff.CommandMore)
	d.command(handoff.CommandNotify, 0, 0, e.Stream, nil)
	for range 5 {
		d.turn(time.Millisecond)
	}
	if d.count(handoff.EventDrained) != 0 {
		t.Fatal("the app may continue while the peer reads nothing")
	}
	d.receive(peer, sent)
	d.expect(handoff.EventDrained)
	if unsent := d.server.Stats().Unsent; unsent > limits.LowWaterBytes {
		t.Errorf("the app may continue with %d bytes unsent", unsent)
	}
}

func TestWithoutABacklogTheAppGoesOnAtOnce(t *testing.T) {
	d := open(t, server.Config{})
	d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.body(e.Stream, "x", handoff.CommandMore)
	d.command(handoff.CommandNotify, 0, 0, e.Stream, nil)
	d.turn(0)
	if d.count(handoff.EventDrained) != 1 {
		t.Error("no event in the same turn")
	}
}

func TestCopiedAndBorrowedPiecesKeepTheirOrder(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	head := "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
	var want strings.Builder
	large := make([][]byte, 600) // far more pieces and bytes than one sendmsg(2) takes
	for i := range large {
		large[i] = bytes.Repeat([]byte{byte('a' + i%26)}, 5000+i)
		d.lend(e.Stream, uint64(i+1), large[i], handoff.CommandMore)
		small := strings.Repeat(string(rune('A'+i%26)), i%7+1)
		d.body(e.Stream, small, handoff.CommandMore)
		want.WriteString(chunk(string(large[i])) + chunk(small))
	}
	d.body(e.Stream, "", 0)
	whole := head + want.String() + "0\r\n\r\n"
	if got := d.receive(peer, len(whole)); got != whole {
		t.Error("other bytes than were sent came")
	}
	d.until("all released", func() bool { return len(d.released) == len(large) })
	d.write(peer, get)
	d.exchange(peer, "x")
}

func TestAPeerThatLeavesFreesItsQueue(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"closes": func(c *net.TCPConn) { _ = c.Close() },
		"resets": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		d := open(t, server.Config{})
		peer := d.send(get)
		e := d.expect(handoff.EventRequest)
		tokens, _ := d.fill(e.Stream, make([]byte, 64<<10))
		leave(peer)
		d.expect(handoff.EventDisconnect)
		d.until("all released", func() bool { return len(d.released) == len(tokens) })
		if s := d.server.Stats(); s.Unsent != 0 || s.Queues != 0 || s.Connections != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestAPeerThatReadsNothingIsGivenUp(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{WriteTimeout: config.Ticks(100)}})
	d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	d.lend(e.Stream, 1, make([]byte, 64<<20), handoff.CommandMore) // more than the kernel buffers
	if gone := d.expect(handoff.EventDisconnect); gone.Stream != e.Stream {
		t.Error("another stream has gone")
	}
}

func TestAPeerThatReadsSlowlyIsNotGivenUp(t *testing.T) {
	d := openFrozen(t, server.Config{Conn: config.Config{WriteTimeout: config.Ticks(300)}})
	peer := d.client()
	d.must(peer.SetReadBuffer(64 << 10))
	d.write(peer, get)
	e := d.expect(handoff.EventRequest)
	d.fill(e.Stream, make([]byte, 64<<10))
	for range 20 { // one second, in which epoll never finds enough room
		d.receive(peer, 32<<10)
		for range 10 {
			d.skip(5 * time.Millisecond)
			d.turn(0)
		}
	}
	if d.count(handoff.EventDisconnect) != 0 {
		t.Error("given up though it reads")
	}
}

func TestAResponseIsCompleteWhenItIsSent(t *testing.T) {
	d := open(t, server.Config{})
	peer := d.send(get + get)
	e := d.expect(handoff.EventRequest)
	big := make([]byte, 20<<20)
	d.start(e.Stream, 200, "content-length", "20971520")
	d.lend(e.Stream, 1, big, 0)
	for range 5 {
		d.turn(time.Millisecond)
	}
	if d.count(handoff.EventRequest) != 0 {
		t.Error("the next request came while the response to this one is unsent")
	}
	d.receive(peer, len("HTTP/1.1 200 OK\r\ncontent-length: 20971520\r\n\r\n")+len(big))
	d.exchange(peer, "x")
}
