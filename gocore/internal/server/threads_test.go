// The thread rules of bridge.h: what other threads may call on a server while one is within a turn.

package server_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/pair"
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
	fd, peer := pair.Waiting(t)
	_ = peer.Close()
	ended := make(chan error)
	go func() {
		for {
			if err := s.Turn(nil, -1, nil); err != nil {
				ended <- err
				return
			}
			s.Flags()
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
	turn := s.Turn(nil, 0, nil)
	for what, err := range map[string]error{"turn": turn, "listen": s.Listen(nil), "watch": s.Watch(int(read.Fd()), 0)} {
		if err != unix.ESTALE {
			t.Errorf("%s of a server that is closed: %v", what, err)
		}
	}
	if stats := s.Stats(); stats != (server.Stats{}) {
		t.Errorf("a server that is closed holds %+v", stats)
	}
	_ = read.Close()
	_ = write.Close()
}
