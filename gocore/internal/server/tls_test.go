//go:build full

// TLS at a whole server: its peers are crypto/tls.

package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// certificate writes a certificate for localhost with its key into one file.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	file := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// withTLS adds TLS to a configuration.
func withTLS(t *testing.T, c server.Config) server.Config {
	t.Helper()
	tickets, err := unix.MemfdCreate("tickets", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(tickets) })
	c.Conn.TLS = &config.TLS{Certificates: []string{certificate(t)}, Tickets: tickets}
	return c
}

// peer is a client of crypto/tls in a goroutine, because the test takes the turns of the server.
type peer struct {
	*tls.Conn
	raw *net.TCPConn
	got chan string
	err chan error
}

// dial connects a peer, and returns once the handshake is done.
func (d *driver) dial(change func(*tls.Config)) *peer {
	d.Helper()
	p := d.begin(change)
	d.until("a handshake", func() bool { return p.done() })
	return p
}

func (d *driver) begin(change func(*tls.Config)) *peer {
	d.Helper()
	raw := d.client()
	c := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"http/1.1"}}
	if change != nil {
		change(c)
	}
	p := &peer{Conn: tls.Client(raw, c), raw: raw, got: make(chan string, 1), err: make(chan error, 1)}
	go func() { p.err <- p.Handshake() }()
	return p
}

func (p *peer) done() bool {
	select {
	case err := <-p.err:
		p.err <- err
		return true
	default:
		return false
	}
}

// read takes turns while the peer reads n octets, or until its end when n is negative.
func (d *driver) read(p *peer, n int) (got string, err error) {
	d.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b []byte
		if n < 0 {
			b, err = io.ReadAll(p)
		} else {
			b = make([]byte, n)
			_, err = io.ReadFull(p, b)
		}
		got = string(b)
	}()
	d.until("bytes", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	return got, err
}

// expectBytes is read, which must succeed.
func (d *driver) expectBytes(p *peer, want string) {
	d.Helper()
	got, err := d.read(p, len(want))
	d.must(err)
	if got != want {
		d.Fatalf("got %.200q, want %.200q", got, want)
	}
}

const simple = "GET / HTTP/1.1\r\nhost: test\r\n\r\n"

var versions = map[string]func(*tls.Config){
	"1.3": nil,
	"1.2": func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
	"1.2, ChaCha": func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}
	},
}

func TestTLSRequests(t *testing.T) {
	for name, change := range versions {
		t.Run(name, func(t *testing.T) {
			d := open(t, withTLS(t, server.Config{}))
			p := d.dial(change)
			for range 3 {
				d.write(p, simple)
				d.respond(d.expect(handoff.EventRequest), "hello")
				d.expectBytes(p, responseOf("hello"))
			}
			d.write(p, strings.Repeat(simple, 5)) // pipelined in one record
			for range 5 {
				d.respond(d.expect(handoff.EventRequest), "hello")
				d.expectBytes(p, responseOf("hello"))
			}
			d.must(p.CloseWrite())
			if rest, err := d.read(p, -1); err != nil || rest != "" {
				t.Fatalf("%q, %v: no close_notify before the end", rest, err)
			}
			d.until("the end of the connection", func() bool { return d.server.Stats().Connections == 0 })
		})
	}
}

// TestTLSBodies: bodies of every size around those of records and reads arrive whole, with the next request behind them.
func TestTLSBodies(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	p := d.dial(nil)
	for _, n := range []int{1, 100, 4095, 16383, 16384, 16385, 20479, 20480, 20481, 65536, 65537, 300_000} {
		body := strings.Repeat("0123456789", n/10+1)[:n]
		for _, chunked := range []bool{false, true} {
			head, sent := "content-length: "+itoa(n)+"\r\n", body
			if chunked {
				head, sent = "transfer-encoding: chunked\r\n", chunk(body[:n/2])[:0]
				if n/2 > 0 {
					sent = chunk(body[:n/2])
				}
				sent += chunk(body[n/2:]) + "0\r\n\r\n"
			}
			failed := make(chan error, 1)
			go func() {
				_, err := p.Write([]byte("POST / HTTP/1.1\r\nhost: test\r\n" + head + "\r\n" + sent + simple))
				failed <- err
			}()
			e := d.expect(handoff.EventRequest)
			got, last := e.request.body, e.Flags&handoff.EventLast != 0
			for !last {
				piece := d.expect(handoff.EventBody)
				got, last = got+piece.data, piece.Flags&handoff.EventLast != 0
				d.command(handoff.CommandConsumed, 0, uint32(len(piece.data))+limits.PieceCostBytes, e.Stream, nil)
			}
			if got != body {
				t.Fatalf("%d octets, chunked %v: %d arrived", n, chunked, len(got))
			}
			for range 2 {
				d.respond(e, "ok")
				d.expectBytes(p, responseOf("ok"))
				if e.request.method == "POST" {
					e = d.expect(handoff.EventRequest)
				}
			}
			d.must(<-failed)
		}
	}
}

func itoa(n int) string { return string(big.NewInt(int64(n)).Append(nil, 10)) }

// TestTLSSplit: a stream of requests that is cut at every octet of its records gives the same requests.
func TestTLSSplit(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of connections")
	}
	d := open(t, withTLS(t, server.Config{}))
	post := "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n"
	for cut := 1; ; cut++ {
		held := &holder{}
		p := d.dialThrough(held)
		held.hold = true
		d.write(p, post)
		d.write(p, "12345"+simple)
		stream := held.stream
		if cut >= len(stream) {
			return
		}
		d.write(held.Conn, string(stream[:cut]))
		for range 2 {
			d.turn(0)
		}
		d.write(held.Conn, string(stream[cut:]))
		e := d.expect(handoff.EventRequest)
		got, last := e.request.body, e.Flags&handoff.EventLast != 0
		for !last {
			piece := d.expect(handoff.EventBody)
			got, last = got+piece.data, piece.Flags&handoff.EventLast != 0
		}
		if got != "12345" {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		d.respond(e, "1")
		d.respond(d.expect(handoff.EventRequest), "2")
		d.expectBytes(p, responseOf("1")+responseOf("2"))
		_ = p.raw.Close()
	}
}

// TestTLSEarlyInput: what a client sends together with the end of the handshake is input of the session, however much of it there is.
func TestTLSEarlyInput(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	body := strings.Repeat("0123456789", 20_000)
	for name, heads := range map[string]string{"large": "content-length: 200000\r\n\r\n" + body, "small bodies": "content-length: 5\r\n\r\n12345"} {
		t.Run(name, func(t *testing.T) {
			held := &holder{Conn: d.client(), after: 1}
			c := tls.Client(held, &tls.Config{InsecureSkipVerify: true})
			failed := make(chan error, 1)
			go func() { failed <- c.Handshake() }()
			d.until("the client's half of the handshake", func() bool { return len(failed) == 1 })
			d.must(<-failed)
			n := max(1, 15_000/len(heads)) // records of 40 KB at least
			for range n {
				d.write(c, "POST / HTTP/1.1\r\nhost: test\r\n"+heads)
			}
			go func() { _, err := held.Conn.Write(held.stream); failed <- err }()
			for range n {
				e := d.expect(handoff.EventRequest)
				got, last := len(e.request.body), e.Flags&handoff.EventLast != 0
				for !last {
					piece := d.expect(handoff.EventBody)
					got, last = got+len(piece.data), piece.Flags&handoff.EventLast != 0
					d.command(handoff.CommandConsumed, 0, uint32(len(piece.data))+limits.PieceCostBytes, e.Stream, nil)
				}
				if want := len(heads) - strings.Index(heads, "\r\n\r\n") - 4; got != want {
					t.Fatal(got, "octets of", want)
				}
				d.respond(e, "ok")
				held.after = 0
				d.expectBytes(&peer{Conn: c}, responseOf("ok"))
			}
			d.must(<-failed)
			_ = held.Conn.Close()
		})
	}
}

// holder collects what crypto/tls writes while hold is set.
type holder struct {
	net.Conn
	hold   bool
	after  int // hold after so many writes; 0: as hold says
	wrote  int
	stream []byte
}

func (h *holder) Write(b []byte) (int, error) {
	h.wrote++
	if !h.hold && (h.after == 0 || h.wrote <= h.after) {
		return h.Conn.Write(b)
	}
	h.stream = append(h.stream, b...)
	return len(b), nil
}

func (d *driver) dialThrough(h *holder) *peer {
	d.Helper()
	raw := d.client()
	h.Conn = raw
	p := &peer{Conn: tls.Client(h, &tls.Config{InsecureSkipVerify: true}), raw: raw, err: make(chan error, 1)}
	go func() { p.err <- p.Handshake() }()
	d.until("a handshake", func() bool { return p.done() })
	return p
}

// TestTLSLargeResponses: a slow peer gets all of it; what is borrowed is released once its records have left; a file as well.
func TestTLSLargeResponses(t *testing.T) {
	for name, change := range versions {
		t.Run(name, func(t *testing.T) {
			d := open(t, withTLS(t, server.Config{}))
			p := d.dial(change)
			data := bytes.Repeat([]byte("0123456789abcdef"), 400_000)
			file := filepath.Join(t.TempDir(), "file")
			d.must(os.WriteFile(file, data, 0o600))
			for range 2 {
				d.write(p, simple)
				e := d.expect(handoff.EventRequest)
				d.start(e.Stream, 200, "content-length", itoa(2*len(data)+5))
				d.body(e.Stream, "first", 1)
				d.lend(e.Stream, 7, data, 1)
				fd, err := unix.Open(file, unix.O_RDONLY, 0)
				d.must(err)
				f := handoff.File{Len: uint64(len(data)), FD: int32(fd)}
				d.command(handoff.CommandFile, 0, 0, e.Stream, octets(&f))
				for range 5 { // the peer reads nothing
					d.turn(0)
				}
				if s := d.server.Stats(); s.Unsent == 0 {
					t.Fatal("all was sent to a peer that reads nothing", s)
				}
				got, err := d.read(p, len("HTTP/1.1 200 OK\r\ncontent-length: 12800005\r\n\r\n")+2*len(data)+5)
				d.must(err)
				if !strings.HasSuffix(got, "\r\n\r\nfirst"+string(data)+string(data)) {
					t.Fatalf("%d octets, which end in %.100q", len(got), got[len(got)-100:])
				}
				d.until("the release", func() bool { return len(d.released) == 1 })
				d.released = nil
			}
			if s := d.server.Stats(); s.Unsent+s.Queues+s.Files != 0 {
				t.Fatal(s)
			}
		})
	}
}

// TestTLSShrunkFile: the connection ends without close_notify, so that the peer does not take the part for the whole.
func TestTLSShrunkFile(t *testing.T) {
	d := open(t, withTLS(t, server.Config{}))
	p := d.dial(nil)
	file := filepath.Join(t.TempDir(), "file")
	d.must(os.WriteFile(file, []byte("12345"), 0o600))
	d.write(p, simple)
	e := d.expect(handoff.EventRequest)
	d.start(e.Stream, 200, "content-length", "10")
	fd, err := unix.Open(file, unix.O_RDONLY, 0)
	d.must(err)
	f := handoff.File{Len: 10, FD: int32(fd)}
	d.command(handoff.CommandFile, 0, 0, e.Stream, octets(&f))
	if _, err := d.read(p, -1); err == nil {
		t.Fatal("the response ended cleanly")
	}
	if line := d.expect(handoff.EventLog).data; !strings.Contains(line, "a file shrank while it was sent: its last 5 bytes are missing") {
		t.Fatal(line)
	}
}
