// Another protocol: it echoes each line. It shows what a protocol needs of transport, and that nothing else depends on it.

package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/transport"
)

// lines is the protocol. Its connections are Busy from their first octet to their last line.
type lines struct {
	loop    *transport.Loop
	timeout uint32 // for a line; 0: none
}

func (p *lines) Readable(c *transport.Conn) {
	for c.Phase() != transport.Flush && !c.Ends() {
		if p.loop.Output.Unsent(c) > limits.LowWaterBytes {
			return // it continues once the peer has read some
		}
		buf, _, ok := p.loop.Input.Take(c)
		if !ok {
			return
		}
		if c.Phase() != transport.Busy {
			p.loop.Enter(c, transport.Busy)
		}
		n := bytes.LastIndexByte(buf, '\n') + 1
		p.loop.Output.Gather(c)
		p.loop.Output.B = append(p.loop.Output.B, buf[:n]...)
		p.loop.Output.FlushOf(c)
		c.Since = p.loop.Clock.Now
		p.loop.Input.ParkBeginning(c, buf[n:])
		p.loop.Timers.Arm(c)
	}
	if c.Phase() == transport.Flush && p.loop.Output.Sent(c) {
		p.loop.Finish(c)
	}
}

// say ends a connection with a last line.
func (p *lines) say(c *transport.Conn, line string) {
	p.loop.Output.Gather(c)
	p.loop.Output.B = append(p.loop.Output.B, line...)
	p.loop.Enter(c, transport.Flush)
}

func (p *lines) Deadline(c *transport.Conn) uint32                 { return c.After(p.timeout) }
func (p *lines) Expire(c *transport.Conn)                          { p.say(c, "too slow\n") }
func (p *lines) Drain(c *transport.Conn)                           { p.say(c, "closing\n") }
func (p *lines) Gone(*transport.Conn)                              {}
func (p *lines) Doing(*transport.Conn) string                      { return "echoing" }
func (p *lines) Patient() bool                                     { return false }
func (p *lines) Command(*transport.Conn, *handoff.Command, []byte) {}

// openLines makes a server with one listener for lines and the usual one for HTTP.
func openLines(t *testing.T, timeout uint32) (s *Server, addresses [2]string) {
	t.Helper()
	s = openEmpty(t)
	kind := s.loop.Add(&lines{&s.loop, timeout})
	var all []transport.Listener
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		fd := int(file.Fd())
		if err = unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			file.Close()
			listener.Close()
		})
		addresses[i] = listener.Addr().String()
		all = append(all, transport.Listener{FD: fd})
	}
	all[0].Protocol = kind
	if err := s.Listen(all); err != nil {
		t.Fatal(err)
	}
	return s, addresses
}

// turns takes turns until a peer's work is done.
func turns(t *testing.T, s *Server, work func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for end := time.Now().Add(time.Minute); ; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the peer waits in vain")
		}
		if err := s.Turn(nil, time.Millisecond, nil); err != nil {
			t.Fatal(err)
		}
		s.Flags()
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func expectLines(t *testing.T, s *Server, c net.Conn, said string, want ...string) {
	t.Helper()
	from := bufio.NewReader(c)
	turns(t, s, func() error {
		_, err := io.WriteString(c, said)
		for _, line := range want {
			if err != nil {
				break
			}
			var got string
			if got, err = from.ReadString('\n'); err == nil && got != line+"\n" {
				t.Errorf("%d octets, not %d: %.60q", len(got), len(line)+1, got)
			}
		}
		return err
	})
}

func TestLinesComeBack(t *testing.T) {
	s, addresses := openLines(t, 0)
	c := dial(t, addresses[0])
	expectLines(t, s, c, "one\ntwo\nthr", "one", "two")
	expectLines(t, s, c, "ee\n", "three")
	web := dial(t, addresses[1])
	expectLines(t, s, web, "BAD\r\n\r\n", "HTTP/1.1 400 Bad Request\r")
}

// A peer that does not read is not read from either, and gets everything once it does.
func TestManyLinesToASlowPeer(t *testing.T) {
	s, addresses := openLines(t, 0)
	c := dial(t, addresses[0])
	line := strings.Repeat("x", 999)
	const n = 5000
	go func() { _, _ = io.WriteString(c, strings.Repeat(line+"\n", n)) }()
	want := make([]string, n)
	for i := range want {
		want[i] = line
	}
	expectLines(t, s, c, "", want...)
}

func TestALineThatTakesTooLong(t *testing.T) {
	s, addresses := openLines(t, config.Ticks(100))
	expectLines(t, s, dial(t, addresses[0]), "begun", "too slow")
}

func TestLinesWhenTheServerDrains(t *testing.T) {
	s, addresses := openLines(t, 0)
	c := dial(t, addresses[0])
	expectLines(t, s, c, "one\n", "one")
	s.Drain()
	expectLines(t, s, c, "", "closing")
	turns(t, s, func() error {
		_, err := io.Copy(io.Discard, c)
		return err
	})
	if left := s.Stats().Connections; left != 0 {
		t.Errorf("%d connections are left", left)
	}
}
