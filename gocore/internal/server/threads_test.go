// The thread rules of bridge.h: what other threads may call on a server while one is within a turn.

package server_test

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

func TestOtherThreadsAskWatchListenAndDrainDuringATurn(t *testing.T) {
	s, err := server.Open(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(socket.Fd())
	if err := unix.SetNonblock(fd, true); err != nil { // Fd has made it blocking
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		for {
			if _, err := s.Turn(nil, -1, nil); err != nil {
				ended <- err
				return
			}
			if _, n := s.Inbox(); n > 0 {
				ended <- nil
				return
			}
		}
	}()
	if err := s.Listen([]transport.Listener{{FD: fd}}); err != nil {
		t.Error(err)
	}
	if err := s.Listen(nil); err != unix.EALREADY {
		t.Errorf("listening twice: %v", err)
	}
	for range 1000 {
		s.Stats()
	}
	s.Drain()
	if _, err := write.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(int(read.Fd()), unix.EPOLLIN); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the turn does not notice what is watched")
	}
	s.Abandon()
	s.Close()
	_, turn := s.Turn(nil, 0, nil)
	for what, err := range map[string]error{"turn": turn, "listen": s.Listen(nil), "watch": s.Watch(int(read.Fd()), 0)} {
		if err != unix.ESTALE {
			t.Errorf("%s of a server that is closed: %v", what, err)
		}
	}
	if stats := s.Stats(); stats != (server.Stats{}) {
		t.Errorf("a server that is closed holds %+v", stats)
	}
	for _, file := range []interface{ Close() error }{read, write, socket, listener} {
		_ = file.Close()
	}
}
