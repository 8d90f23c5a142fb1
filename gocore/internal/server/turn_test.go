// The turn itself: what it costs, the app's own descriptors, the alarm of a guest, the end of a server.

package server_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

// TestAWarmRequestAllocatesNothing covers read, parse, hand-over, response and write of one small GET, with every
// timeout and field on, without and with names.
func TestAWarmRequestAllocatesNothing(t *testing.T) {
	c := config.Config{
		HeaderTimeout: 300, KeepAliveTimeout: 300, BodyTimeout: 300, WriteTimeout: 300, MaxConnections: 10, MaxRequestBody: 1 << 20,
		ServerHeader: []byte("server: saltare\r\n"), DateHeader: true,
	}
	t.Run("without names", func(t *testing.T) { warmRequest(t, c) })
	c.RequestIDHeader, c.Traceparent, c.ServerTiming, c.SecurityHeaders, c.HSTS = []byte("X-Request-ID"), true, true, true, []byte("max-age=5")
	c.Proxies.TLS = true
	t.Run("with names", func(t *testing.T) { warmRequest(t, c) })
}

func warmRequest(t *testing.T, c config.Config) {
	d := open(t, server.Config{Conn: c})
	peer := socketOf(t, d.client())
	request, reply := []byte(get), make([]byte, 4096)
	head := fields("content-type", "text/plain", "content-length", "5")
	once := func() {
		if _, err := unix.Write(peer, request); err != nil {
			t.Fatal(err)
		}
		stream := d.stream()
		d.command(handoff.CommandStart, 0, 200, stream, head)
		d.command(handoff.CommandBody, 0, 0, stream, reply[:5])
		d.turnOnly(0)
		if n, err := unix.Read(peer, reply); n < 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := testing.AllocsPerRun(200, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Events that the app need not see do not end the wait: a connection, a piece of a head, the end by either side.
func TestATurnWaitsForTheApp(t *testing.T) {
	t.Parallel()
	d := open(t, server.Config{Conn: config.Config{HeaderTimeout: config.Ticks(100)}})
	c := d.send("GET / HT")
	time.AfterFunc(20*time.Millisecond, func() { _, _ = c.Write([]byte("TP")) })
	time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
	silent := d.client()
	d.sleeps(300 * time.Millisecond)
	d.until("the end of the one that left", func() bool { return d.server.Stats().Connections == 1 })
	if stats := d.server.Stats(); stats.Accepted != 2 {
		t.Errorf("%d connections were accepted", stats.Accepted)
	}
	if got := d.receive(silent, -1); !strings.HasPrefix(got, "HTTP/1.1 408 ") { // and the connection lingers
		t.Errorf("%q", got)
	}
}

// socketOf is the descriptor of a peer, in blocking mode.
func socketOf(t *testing.T, c *net.TCPConn) int {
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	fd := int(f.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return fd
}

// turnOnly takes a turn without reading its events.
func (d *driver) turnOnly(timeout time.Duration) {
	if err := d.server.Turn(d.outbox, timeout, nil); err != nil {
		d.Fatal(err)
	}
	d.server.Flags()
	d.outbox = d.outbox[:0]
}

// stream takes turns until a request comes and returns its stream, without copying the request.
func (d *driver) stream() uint64 {
	for {
		d.turnOnly(time.Second)
		ptr, n := d.server.Inbox()
		for _, e := range view[handoff.Event](ptr, n) {
			if e.Kind == handoff.EventRequest {
				return e.Stream
			}
		}
	}
}

func TestTheAppsOwnDescriptors(t *testing.T) {
	d := open(t, server.Config{})
	var pipe [2]int
	d.must(unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	d.must(d.server.Watch(pipe[0], unix.EPOLLIN))
	d.must(d.server.Watch(pipe[1], unix.EPOLLOUT))
	if e := d.expect(handoff.EventFD); e.Stream != uint64(pipe[1]) || e.Flags != unix.EPOLLOUT {
		t.Errorf("%+v", e)
	}
	d.must(d.server.Watch(pipe[1], 0))
	d.kept = nil
	d.turn(10 * time.Millisecond)
	if len(d.kept) != 0 {
		t.Errorf("no longer watched: %+v", d.kept)
	}
	_, err := unix.Write(pipe[1], []byte("x"))
	d.must(err)
	for range 2 {
		if e := d.expect(handoff.EventFD); e.Stream != uint64(pipe[0]) || e.Flags != unix.EPOLLIN {
			t.Errorf("%+v", e)
		}
		d.turn(0)
	}
	if err := d.server.Watch(pipe[0], unix.EPOLLIN|unix.EPOLLOUT); err != nil {
		t.Error(err)
	}
	if err := d.server.Watch(1<<20, unix.EPOLLIN); err != unix.EBADF {
		t.Errorf("watching nothing: %v", err)
	}
}

func TestTheAlarmOfAGuestRings(t *testing.T) {
	d := open(t, server.Config{Guest: true, Conn: config.Config{KeepAliveTimeout: config.Ticks(short)}})
	peer := d.send(get)
	d.exchange(peer, "x")
	ready := []unix.PollFd{{Fd: int32(d.server.FD()), Events: unix.POLLIN}}
	for turns := 0; d.server.Stats().Connections > 0; turns++ {
		if n, err := unix.Poll(ready, int(hang.Milliseconds())); n != 1 && err != unix.EINTR {
			t.Fatalf("the set does not become readable: %d, %v", n, err)
		}
		d.turn(0)
		if turns > 20 {
			t.Fatal("the set is readable without a reason")
		}
	}
}

func TestAFullInboxLosesNothing(t *testing.T) {
	d := open(t, server.Config{})
	const n = 3000 // releases of one turn: more than an inbox holds
	peer := d.send(get)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200)
	piece := []byte("a borrowed piece")
	for token := range uint64(n) {
		d.lend(e.Stream, token+1, piece, handoff.CommandMore)
	}
	d.send(get)
	d.body(e.Stream, "", 0)
	second := d.expect(handoff.EventRequest)
	d.respond(second, "x")
	d.until("all released", func() bool { return len(d.released) == n })
	d.receive(peer, n*(len(chunk(string(piece)))))
	if d.flags&^handoff.TurnInterrupted != 0 {
		t.Errorf("flags %d when nothing is left", d.flags)
	}
}

func TestALongSleepDoesNotConfuseTheTimers(t *testing.T) {
	d := open(t, server.Config{Conn: config.Config{KeepAliveTimeout: config.Ticks(60_000)}}) // longer than the wheel
	peer := d.send(get)
	d.exchange(peer, "x")
	d.sleeps(30 * time.Millisecond)
	if n := d.server.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Turns whose results C cannot take lose no flag, and do not wait until C has taken them.
func TestFlagsAccumulateUntilTheyAreTaken(t *testing.T) {
	d := openFrozen(t, server.Config{})
	peer := d.send(get)
	d.respond(d.expect(handoff.EventRequest), "x")
	d.receive(peer, len(responseOf("x")))
	_ = peer.Close()
	d.until("the end of the connection", func() bool { return d.server.Stats().Connections == 0 })
	d.skip(limits.Quiet)
	d.must(d.server.Turn(nil, 0, nil))
	d.server.Drain()
	begin := time.Now()
	for range 3 {
		d.must(d.server.Turn(nil, hang, nil))
	}
	if time.Since(begin) > hang/2 {
		t.Error("a turn has waited")
	}
	if flags := d.server.Flags() &^ handoff.TurnInterrupted; flags != handoff.TurnQuiet|handoff.TurnEmpty {
		t.Errorf("flags %d", flags)
	}
	if flags := d.server.Flags(); flags != 0 {
		t.Errorf("flags %d again", flags)
	}
}

func TestAServerThatIsClosed(t *testing.T) {
	s, err := server.Open(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	s.Drain()
	s.Abandon()
	if err := s.Turn(nil, 0, nil); err != unix.ESTALE {
		t.Errorf("turn: %v", err)
	}
	if err := s.Watch(0, unix.EPOLLIN); err != unix.ESTALE {
		t.Errorf("watch: %v", err)
	}
	if err := s.Listen(nil); err != unix.ESTALE {
		t.Errorf("listen: %v", err)
	}
	if f := s.Stats(); f != (server.Stats{}) {
		t.Errorf("%+v", f)
	}
}

func TestListenTwice(t *testing.T) {
	d := open(t, server.Config{})
	if err := d.server.Listen([]transport.Listener{{FD: d.listener}}); err != unix.EALREADY {
		t.Errorf("got %v", err)
	}
}
