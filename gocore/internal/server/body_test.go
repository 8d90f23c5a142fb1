// Request bodies: pieces, back-pressure, limits, and bodies that the app did not read.

package server_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

func post(length int, more string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n%s\r\n", length, more)
}

const postChunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"

// body collects the body of a request and reports what it consumed.
func (d *driver) wholeBody(e event) string {
	d.Helper()
	data := e.request.body
	for last := e.Flags&handoff.EventLast != 0; !last; {
		d.command(handoff.CommandConsumed, 0, uint32(limits.ReadBytes), e.Stream, nil)
		piece := d.expect(handoff.EventBody)
		data += piece.data
		last = piece.Flags&handoff.EventLast != 0
	}
	return data
}

func TestBodies(t *testing.T) {
	d := open(t, server.Config{})
	for _, size := range []int{0, 1, limits.ReadBytes, 5 * limits.ReadBytes} {
		data := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		chunks := ""
		for at := 0; at < size; at += 5000 {
			chunks += chunk(data[at:min(at+5000, size)])
		}
		for name, text := range map[string]string{"length": post(size, "") + data, "chunked": postChunked + chunks + "0\r\n\r\n"} {
			c := d.client()
			go func() { _, _ = c.Write([]byte(text + get)) }()
			e := d.expect(handoff.EventRequest)
			if got := d.wholeBody(e); got != data {
				t.Errorf("%s, %d bytes: %d came", name, size, len(got))
			}
			d.respond(e, "first")
			if next := d.expect(handoff.EventRequest); next.request.path != "/a b" {
				t.Errorf("%s, %d bytes: %q came behind", name, size, next.request.path)
			} else {
				d.respond(next, "second")
			}
			d.receive(c, len(responseOf("first")+responseOf("second")))
		}
	}
}

func TestReadingStopsWhileMuchIsUntaken(t *testing.T) {
	d := open(t, server.Config{})
	c := d.client()
	go func() { _, _ = c.Write([]byte(post(64<<20, "") + strings.Repeat("x", 64<<20))) }()
	e := d.expect(handoff.EventRequest)
	came := len(e.request.body)
	for range 20 {
		d.turn(5 * time.Millisecond)
	}
	for _, piece := range d.kept {
		came += len(piece.data)
	}
	if came > limits.UnreadBytes+limits.ReadBytes {
		t.Errorf("%d bytes were handed over to an app that takes none", came)
	}
	d.kept = nil
	d.command(handoff.CommandConsumed, 0, uint32(came), e.Stream, nil)
	if piece := d.expect(handoff.EventBody); len(piece.data) == 0 {
		t.Error("nothing came after all was taken")
	}
}

// Single bytes wake an app that reads none of them a few hundred times, and not for ever.
func TestEachPieceCounts(t *testing.T) {
	d := open(t, server.Config{})
	const all = 1000
	c := d.send(post(all, ""))
	e := d.expect(handoff.EventRequest)
	for range all {
		d.write(c, "x")
		d.turn(0)
	}
	d.turn(0)
	came := len(d.kept)
	most := limits.UnreadBytes/(1+limits.PieceCostBytes) + 1
	if came == 0 || came > most {
		t.Fatalf("%d pieces came, %d at most", came, most)
	}
	for _, piece := range d.kept {
		if piece.data != "x" {
			t.Errorf("a piece is %q", piece.data)
		}
	}
	d.kept = nil
	d.command(handoff.CommandConsumed, 0, uint32(came*(1+limits.PieceCostBytes)), e.Stream, nil)
	pieces := 0
	for came < all {
		came += len(d.expect(handoff.EventBody).data)
		pieces++
	}
	if came != all || pieces > 100 { // as many as the kernel sends at once
		t.Errorf("%d bytes of %d came, in %d more pieces", came, all, pieces)
	}
}

func TestExpectContinue(t *testing.T) {
	d := open(t, server.Config{})
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	c := d.send(post(5, "expect: 100-continue\r\n"))
	e := d.expect(handoff.EventRequest)
	if e.Flags != handoff.EventContinue {
		t.Errorf("flags %d", e.Flags)
	}
	d.command(handoff.CommandContinue, 0, 0, e.Stream, nil)
	d.command(handoff.CommandContinue, 0, 0, e.Stream, nil)
	if got := d.receive(c, len(interim)); got != interim {
		t.Fatalf("got %q", got)
	}
	d.write(c, "hello")
	if got := d.wholeBody(e); got != "hello" {
		t.Errorf("body %q", got)
	}
	d.respond(e, "x")
	if got := d.receive(c, len(responseOf("x"))); got != responseOf("x") {
		t.Errorf("got %q", got)
	}
}

func TestAResponseInsteadOfContinueIsTheLastOne(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(post(5, "expect: 100-continue\r\n"))
	d.respond(d.expect(handoff.EventRequest), "no")
	got := d.receive(c, -1)
	if !strings.Contains(got, "\r\nconnection: close\r\n") || strings.Contains(got, "100 Continue") {
		t.Errorf("got %q", got)
	}
}

func TestTooLargeBodies(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxRequestBody: 1000}})
	big := strings.Repeat("x", 501)
	for name, text := range map[string]string{
		"declared": post(1001, ""), "declared, expecting": post(1001, "expect: 100-continue\r\n"),
		"with the head": postChunked + chunk(big) + chunk(big),
	} {
		if got := d.receive(d.send(text), -1); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
			t.Errorf("%s: %.60q", name, got)
		}
	}
	c := d.send(postChunked + chunk(big))
	e := d.expect(handoff.EventRequest)
	d.write(c, chunk(big))
	if got := d.receive(c, -1); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("later: %.60q", got)
	}
	if gone := d.expect(handoff.EventDisconnect); gone.Stream != e.Stream {
		t.Error("the app was not notified")
	}
}

// TestARefusalReachesAPeerThatIsStillSending: without the linger, the peer's bytes would cause a reset, and the kernel
// would discard the response.
func TestARefusalReachesAPeerThatIsStillSending(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{MaxRequestBody: 1000}})
	c := d.client()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write([]byte(post(2<<20, "") + strings.Repeat("x", 2<<20)))
		sent <- err
	}()
	d.until("all is sent", func() bool { return len(sent) == 1 })
	if err := <-sent; err != nil {
		t.Errorf("sending ended with %v", err)
	}
	if got := d.receive(c, -1); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("got %.60q", got)
	}
}

func TestAnUnwantedBodyIsSkipped(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(post(5, ""))
	d.respond(d.expect(handoff.EventRequest), "first")
	d.receive(c, len(responseOf("first")))
	d.write(c, "he")
	d.turn(0)
	d.write(c, "llo"+get)
	if got := d.exchange(c, "second"); got != responseOf("second") {
		t.Errorf("got %q", got)
	}
}

func TestTooMuchOfAnUnwantedBodyEndsTheConnection(t *testing.T) {
	d := open(t, server.Config{})
	for _, start := range []string{post(1<<30, ""), postChunked + "40000000\r\n"} {
		c := d.send(start)
		d.respond(d.expect(handoff.EventRequest), "first")
		d.receive(c, len(responseOf("first")))
		sent := 0
		d.until("the end", func() bool {
			_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
			n, err := c.Write(make([]byte, 64<<10))
			sent += n
			timeout, ok := err.(net.Error)
			return err != nil && !(ok && timeout.Timeout())
		})
		if sent < limits.DiscardBytes {
			t.Errorf("ended after %d bytes", sent)
		}
		if d.count(handoff.EventRequest) != 0 {
			t.Error("the body was taken for a request")
		}
	}
}

func TestABrokenChunkEndsTheRequest(t *testing.T) {
	d := open(t, server.Config{})
	c := d.send(postChunked + chunk("hello"))
	e := d.expect(handoff.EventRequest)
	d.write(c, "zz\r\n")
	if got := d.receive(c, -1); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
	if gone := d.expect(handoff.EventDisconnect); gone.Stream != e.Stream {
		t.Error("the app was not notified")
	}
}
