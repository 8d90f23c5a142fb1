// Package pair makes, for tests, a connection that waits to be accepted.
package pair

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Waiting is a non-blocking listening socket on 127.0.0.1 with one connection in its backlog, and the peer's end of that
// connection. Both are closed when the test ends.
func Waiting(t testing.TB) (listener int, peer *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	listener = int(file.Fd())
	if err = unix.SetNonblock(listener, true); err != nil {
		t.Fatal(err)
	}
	peer, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return listener, peer
}
