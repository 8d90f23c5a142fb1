package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/accesslog"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/server"
)

// logging is a server whose access log goes to a file.
func logging(t *testing.T, path string) *driver {
	t.Helper()
	return open(t, server.Config{Log: accesslog.Config{On: true, Path: path, Format: "{path} {status} {bytes} {outcome}"}})
}

// answer is one exchange on a connection of its own.
func (d *driver) answer(target string) {
	d.Helper()
	peer := d.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
	d.respond(d.expect(handoff.EventRequest), "hello")
	d.receive(peer, len(responseOf("hello")))
}

func TestLinesAreWrittenWhileTheServerWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	d := logging(t, path)
	d.answer("/first")
	d.answer("/second")
	want := "/first 200 5 complete\n/second 200 5 complete\n"
	for end := time.Now().Add(hang); ; d.turn(time.Millisecond) {
		if text, _ := os.ReadFile(path); string(text) == want {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%q", text)
		}
	}
}

func TestLostLinesAreToldOnceAMinute(t *testing.T) {
	d := logging(t, "/dev/full")
	told := func() (n int) {
		for _, e := range d.kept {
			if e.Kind == handoff.EventLog && strings.HasPrefix(e.data, "the access log has lost lines: ") {
				n++
				if !strings.Contains(e.data, unix.ENOSPC.Error()) {
					t.Error(e.data)
				}
			}
		}
		return n
	}
	lose := func(n int) {
		t.Helper()
		d.answer("/")
		d.until("lost lines are told", func() bool { return told() == n })
	}
	lose(1)
	d.answer("/")
	for range 100 {
		d.turn(time.Millisecond)
	}
	if told() != 1 {
		t.Fatal("they were told again within a minute")
	}
	d.skip(time.Minute)
	lose(2)
}

func TestAFormatOrAFileThatIsRefused(t *testing.T) {
	if _, err := server.Open(server.Config{Log: accesslog.Config{On: true, Path: "/dev/null", Format: "{nothing}"}}); err != unix.EINVAL {
		t.Errorf("format: %v", err)
	}
	s, err := server.Open(server.Config{Log: accesslog.Config{On: true, Path: "/nonexistent/log", Format: "json"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(nil); err != unix.ENOENT {
		t.Errorf("file: %v", err)
	}
	if s.Threads() != 2 {
		t.Error("the writer has no thread to run in")
	}
	s.Close()
	if err := s.ReopenLog(); err != unix.ESTALE {
		t.Errorf("a closed server opens its log again: %v", err)
	}
}
