//go:build full

// Tickets of several workers, and files that change.

package tlsshake

import (
	"bytes"
	"crypto/tls"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTicketsOfWorkers: workers with the same secret accept each other's tickets, in the period of a ticket and the next one.
func TestTicketsOfWorkers(t *testing.T) {
	a := newAuthority(t)
	settings := a.settings(t, keyFor.ec())
	now := time.Now()
	worker := func(after time.Duration, change func(*Settings)) *Config {
		s := settings
		change(&s)
		c, err := Open(s, func(string) {}, func() time.Time { return now.Add(after) })
		if err != nil {
			t.Fatal(err)
		}
		c.looked = now.Add(100 * time.Hour) // the certificate is valid for an hour, and is not loaded again
		t.Cleanup(c.Close)
		return c
	}
	none := func(*Settings) {}
	later := func(hours time.Duration) *Config {
		c := worker(0, none)
		c.now = func() time.Time { return now.Add(hours * time.Hour) }
		return c
	}
	for name, c := range map[string]struct {
		second  *Config
		resumed bool
	}{
		"another worker":  {worker(0, none), true},
		"the next period": {later(12), true},
		"two periods on":  {later(24), false},
		"another server":  {worker(0, func(s *Settings) { s.Tickets = ticketFile(t) }), false},
		"without tickets": {worker(0, func(s *Settings) { s.Tickets = 0 }), false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := a.client()
			client.MaxVersion = version
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i, config := range []*Config{worker(0, none), c.second} {
				raw, _ := serve(t, config)
				conn := tls.Client(raw, client)
				exchange(t, conn)
				if resumed := conn.ConnectionState().DidResume; resumed != (i == 1 && c.resumed) {
					t.Errorf("%s, %x: resumed is %v in handshake %d", name, version, resumed, i)
				}
			}
		}
	}
}

// TestSecret: the first one that opens the file fills it, also of several that open it at once, and all get the same.
func TestSecret(t *testing.T) {
	fd := ticketFile(t)
	secrets := make(chan []byte)
	for range 8 {
		go func() {
			secret, err := openSecret(fd)
			if err != nil {
				t.Error(err)
			}
			secrets <- secret
		}()
	}
	first := <-secrets
	if len(first) != secretBytes || bytes.Equal(first, make([]byte, secretBytes)) {
		t.Fatal(first)
	}
	for range 7 {
		if next := <-secrets; !bytes.Equal(first, next) {
			t.Fatal(first, next)
		}
	}
	if _, err := openSecret(-1); err != unix.EBADF {
		t.Fatal(err)
	}
}

func TestPeriods(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	keys, next := ticketKeys([]byte("s"), periodOf(at)), ticketKeys([]byte("s"), periodOf(at.Add(12*time.Hour)))
	if keys[1] != next[0] || keys[0] != next[2] || keys[0] == next[0] {
		t.Fatal("the keys of two periods do not follow each other")
	}
}

// TestReload: handshakes use the new files, or the old contents while the new ones cannot be used.
func TestReload(t *testing.T) {
	a := newAuthority(t)
	settings := a.settings(t, keyFor.ec())
	clock := time.Now()
	var lines []string
	config, err := Open(settings, func(line string) { lines = append(lines, line) }, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(config.Close)
	serialOf := func() string {
		raw, result := serve(t, config)
		c := tls.Client(raw, a.client())
		exchange(t, c)
		<-result
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	changed := func() { // the time of a file that is written twice within a tick of the file system's clock must differ
		for _, name := range append(settings.Certificates, settings.Keys...) {
			at := clock.Add(time.Duration(serial) * time.Second)
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := serialOf()
	a.issue(t, "localhost", keyFor.rsa(), clock)
	changed()
	if serialOf() != first {
		t.Fatal("the files are looked at too often")
	}
	clock = clock.Add(time.Second)
	second := serialOf()
	if second == first || len(lines) != 1 || !strings.Contains(lines[0], "are loaded: "+settings.Certificates[0]+", valid until ") {
		t.Fatal(first, second, lines)
	}
	a.issue(t, "localhost", keyFor.ec(), clock.Add(-2*time.Hour))
	changed()
	clock = clock.Add(time.Second)
	if third := serialOf(); third != second || len(lines) != 2 || !strings.Contains(lines[1], "the old ones stay: ssl_certfile: ") {
		t.Fatal(third, second, lines)
	}
	clock = clock.Add(time.Second)
	if serialOf() != second || len(lines) != 2 {
		t.Fatal("the same failure was logged twice", lines)
	}
}
