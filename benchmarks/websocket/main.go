// Package main is a WebSocket load that costs little: one thread, one epoll set, frames made once.
//
//	websocket -mode echo -port P -clients N -size BYTES -seconds S    each client waits for its echo before it sends again
//	websocket -mode broadcast ...                                     one sends, all receive; when all have it, it sends again
//	websocket -mode idle -clients N                                   says "up" and holds them until its stdin ends
//
// What it says at the end is JSON: messages received, seconds of the measure, and of them the CPU it used itself.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	warmUp    = 500 * time.Millisecond
	key       = "dGhlIHNhbXBsZSBub25jZQ=="
	readBytes = 256 << 10
)

type options struct {
	mode, path          string
	port, clients, size int
	seconds             float64
}

// client is one connection; every answer has as many octets as the other.
type client struct {
	fd   int
	want int // octets of the answer still to come
}

type load struct {
	options
	epoll    int
	clients  map[int32]*client
	first    *client
	frame    []byte // as it is sent
	answer   int    // octets of what is received
	messages int
	waiting  int // clients of a broadcast that have not got it
	scratch  []byte
}

func main() {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	var o options
	flag.StringVar(&o.mode, "mode", "echo", "echo, broadcast or idle")
	flag.StringVar(&o.path, "path", "/echo", "of the handshake")
	flag.IntVar(&o.port, "port", 0, "of the server")
	flag.IntVar(&o.clients, "clients", 1, "at a time")
	flag.IntVar(&o.size, "size", 64, "octets of a message")
	flag.Float64Var(&o.seconds, "seconds", 5, "of the measure, after the warm-up")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	l := &load{options: o, clients: map[int32]*client{}, scratch: make([]byte, readBytes)}
	l.frame, l.answer = frame(o.size)
	var err error
	if l.epoll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	for range o.clients {
		if err := l.connect(); err != nil {
			return err
		}
	}
	if o.mode == "idle" {
		fmt.Println("up")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return l.measure()
}

// frame is a masked binary message of n octets, and the size of the same from a server.
func frame(n int) (b []byte, answer int) {
	switch {
	case n < 126:
		b, answer = []byte{0x82, 0x80 | byte(n)}, 2
	case n < 1<<16:
		b, answer = binary.BigEndian.AppendUint16([]byte{0x82, 0x80 | 126}, uint16(n)), 4
	default:
		b, answer = binary.BigEndian.AppendUint64([]byte{0x82, 0x80 | 127}, uint64(n)), 10
	}
	mask := []byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask...)
	for i := range n {
		b = append(b, 'x'^mask[i%4])
	}
	return b, answer + n
}

func (l *load) connect() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: l.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	request := "GET " + l.path + " HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
	if _, err := syscall.Write(fd, []byte(request)); err != nil {
		return err
	}
	var head []byte
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := syscall.Read(fd, l.scratch)
		if err != nil || n == 0 {
			return fmt.Errorf("the server ended the handshake: %v %q", err, head)
		}
		head = append(head, l.scratch[:n]...)
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("no WebSocket: %q", head)
	}
	c := &client{fd: fd}
	if l.first == nil {
		l.first = c
	}
	l.clients[int32(fd)] = c
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (l *load) measure() error {
	if err := l.begin(); err != nil {
		return err
	}
	if err := l.until(time.Now().Add(warmUp)); err != nil {
		return err
	}
	l.messages = 0
	began, used := time.Now(), cpu()
	if err := l.until(began.Add(time.Duration(l.seconds * float64(time.Second)))); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"messages": float64(l.messages), "seconds": took, "cpu": (cpu() - used).Seconds()})
}

func (l *load) begin() error {
	if l.mode == "broadcast" {
		return l.broadcast()
	}
	for _, c := range l.clients {
		if err := l.send(c); err != nil {
			return err
		}
		c.want = l.answer
	}
	return nil
}

func (l *load) broadcast() error {
	for _, c := range l.clients {
		c.want = l.answer
	}
	l.waiting = len(l.clients)
	return l.send(l.first)
}

// send writes a whole message; a socket that is full is tried again, since the server reads whenever it can.
func (l *load) send(c *client) error {
	for b := l.frame; len(b) > 0; {
		n, err := syscall.Write(c.fd, b)
		if err != nil && err != syscall.EAGAIN && err != syscall.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func (l *load) until(end time.Time) error {
	var events [256]syscall.EpollEvent
	for time.Now().Before(end) {
		n, err := syscall.EpollWait(l.epoll, events[:], 100)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if err := l.read(l.clients[events[i].Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *load) read(c *client) error {
	n, err := syscall.Read(c.fd, l.scratch)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	if err != nil || n <= 0 || n > c.want {
		return fmt.Errorf("%d octets where %d were to come: %v %.80q", n, c.want, err, l.scratch[:max(n, 0)])
	}
	if c.want == l.answer && l.scratch[0] != 0x82 {
		return fmt.Errorf("no whole message: %x", l.scratch[0])
	}
	if c.want -= n; c.want > 0 {
		return nil
	}
	l.messages++
	if l.mode == "broadcast" {
		if l.waiting--; l.waiting > 0 {
			return nil
		}
		return l.broadcast()
	}
	c.want = l.answer
	return l.send(c)
}

func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
