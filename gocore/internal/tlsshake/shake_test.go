//go:build full

package tlsshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/tlsrecord"
)

// exchange checks that data comes back through the session, and closes.
func exchange(t *testing.T, c *tls.Conn) {
	t.Helper()
	for _, n := range []int{1, 1000, 16384, 50_000} {
		want := bytes.Repeat([]byte{byte(n), 1}, n)[:n]
		failed := make(chan error, 1)
		go func() { _, err := c.Write(want); failed <- err }()
		got := make([]byte, n)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatal(n, err)
		}
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatal(rest, err)
	}
}

// TestEverySuite: the secrets of full and of resumed handshakes are found, with this release of Go, for every suite.
func TestEverySuite(t *testing.T) {
	a := newAuthority(t)
	ec := a.settings(t, keyFor.ec())
	rsaAuthority := newAuthority(t)
	rsa := rsaAuthority.settings(t, keyFor.rsa())
	for _, suite := range append([]uint16{0}, all12(t)...) {
		settings, pool := ec, a
		version := uint16(tls.VersionTLS13)
		if suite != 0 {
			version = tls.VersionTLS12
			settings.Suites = []string{tls.CipherSuiteName(suite)}
			rsa.Suites = settings.Suites
		}
		if strings.Contains(tls.CipherSuiteName(suite), "_RSA_") {
			settings, pool = rsa, rsaAuthority
		}
		config := open(t, settings)
		client := pool.client()
		client.MinVersion, client.MaxVersion = version, version
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for _, resumed := range []bool{false, true, true} {
			raw, result := serve(t, config)
			c := tls.Client(raw, client)
			if err := c.Handshake(); err != nil {
				t.Fatal(tls.CipherSuiteName(suite), err)
			}
			exchange(t, c)
			state := c.ConnectionState()
			if state.DidResume != resumed || state.Version != version || suite != 0 && state.CipherSuite != suite || state.NegotiatedProtocol != "http/1.1" {
				t.Fatalf("%s: %+v", tls.CipherSuiteName(suite), state)
			}
			if r := <-result; r.Failure != "" || r.Session.Version != version || r.Session.Suite != state.CipherSuite {
				t.Fatal(r)
			}
		}
	}
}

func all12(t *testing.T) []uint16 {
	all, err := (&Settings{}).suites()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSuites(t *testing.T) {
	for want, names := range map[uint16][]string{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:       {"ECDHE-RSA-AES128-GCM-SHA256"},
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "AES128-SHA"},
		0: {"AES128-SHA"},
	} {
		all, err := (&Settings{Suites: names}).suites()
		if (err == nil) != (want != 0) || want != 0 && (len(all) != 1 || all[0] != want) {
			t.Error(names, all, err)
		}
	}
}

// TestRetry: a client whose first key share is not ours gets a HelloRetryRequest.
func TestRetry(t *testing.T) {
	a := newAuthority(t)
	config := open(t, a.settings(t, keyFor.ec()))
	config.config.CurvePreferences = []tls.CurveID{tls.CurveP521}
	raw, result := serve(t, config)
	c := tls.Client(raw, a.client())
	if err := c.Handshake(); err != nil || !c.ConnectionState().HelloRetryRequest {
		t.Fatal(err)
	}
	exchange(t, c)
	if r := <-result; r.Failure != "" {
		t.Fatal(r.Failure)
	}
}

// dribble splits each record of a handshake into records of one octet, as a client may (RFC 8446 5.1), and each write into octets.
type dribble struct {
	net.Conn
	left int // records to split
}

func (d *dribble) Write(p []byte) (int, error) {
	var out []byte
	for rest := p; len(rest) > 0; {
		n, _ := tlsrecord.Whole(rest)
		record := rest[:n]
		rest = rest[n:]
		if record[0] != 22 || d.left == 0 {
			out = append(out, record...)
			continue
		}
		d.left--
		for _, b := range record[tlsrecord.HeaderBytes:] {
			out = append(out, 22, 3, 1, 0, 1, b)
		}
	}
	for i := range out {
		if _, err := d.Conn.Write(out[i : i+1]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// TestSplitMessages: messages in records of one octet, which arrive octet by octet, give the same session; also a resumed one of TLS
// 1.2, for which the client's random is read from the first message.
func TestSplitMessages(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		a := newAuthority(t)
		config := open(t, a.settings(t, keyFor.ec()))
		client := a.client()
		client.MaxVersion = version
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for _, resumed := range []bool{false, true} {
			raw, result := serve(t, config)
			c := tls.Client(&dribble{raw, 1}, client)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			exchange(t, c)
			if c.ConnectionState().DidResume != resumed {
				t.Fatal(version, "resumed:", !resumed)
			}
			if r := <-result; r.Failure != "" {
				t.Fatal(r.Failure)
			}
		}
	}
}

// TestClientCertificates: required or not, signed by the authority or not.
func TestClientCertificates(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	load := func(of *authority) []tls.Certificate {
		cert, key := of.issue(t, "client", keyFor.rsa(), time.Now())
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}
	for name, c := range map[string]struct {
		required bool
		certs    []tls.Certificate
		failure  string
	}{
		"none, required":   {true, nil, "client didn't provide a certificate"},
		"none, optional":   {false, nil, ""},
		"signed, required": {true, load(a), ""},
		"signed, optional": {false, load(a), ""},
		"other authority":  {false, load(other), "failed to verify certificate"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s, %x", name, version), func(t *testing.T) {
				settings := a.settings(t, keyFor.ec())
				settings.Authorities, settings.Required = a.path("ca.pem"), c.required
				config := open(t, settings)
				client := a.client()
				client.MaxVersion = version
				// Sends the certificate even if the server does not name its authority.
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if c.certs == nil {
						return new(tls.Certificate), nil
					}
					return &c.certs[0], nil
				}
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				for range 2 { // the second one is resumed, and its client is known again
					raw, result := serve(t, config)
					conn := tls.Client(raw, client)
					if c.failure == "" {
						exchange(t, conn)
					} else {
						_ = conn.Handshake()
						if _, err := io.ReadAll(conn); err == nil {
							t.Fatal("the client noticed nothing")
						}
					}
					r := <-result
					if (c.failure == "") != (r.Failure == "") || !strings.Contains(r.Failure, c.failure) {
						t.Fatalf("%q, want %q", r.Failure, c.failure)
					}
					if want := min(len(c.certs), 1); c.failure == "" && len(r.Identity.Lengths) != want {
						t.Fatal(len(r.Identity.Lengths), "certificates, want", want)
					}
					if r.Failure == "" && (len(c.certs) > 0) != (string(r.Identity.Name) == "CN=client") {
						t.Fatalf("the client's name is %q", r.Identity.Name)
					}
				}
			})
		}
	}
}

// TestNames: the certificate is chosen by the name that the client asks for; the first one is for all other names.
func TestNames(t *testing.T) {
	a := newAuthority(t)
	s := a.settings(t, keyFor.ec())
	for _, name := range []string{"one.test", "two.test"} {
		cert, key := a.issue(t, name, keyFor.rsa(), time.Now())
		s.Certificates, s.Keys = append(s.Certificates, cert), append(s.Keys, key)
	}
	config := open(t, s)
	for asked, got := range map[string]string{"one.test": "one.test", "two.test": "two.test", "localhost": "localhost", "three.test": "localhost", "": "localhost"} {
		client := &tls.Config{ServerName: asked, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for range 2 { // the second one is resumed, if a name was asked for
			raw, result := serve(t, config)
			c := tls.Client(raw, client)
			exchange(t, c)
			leaf := c.ConnectionState().PeerCertificates[0]
			if name := leaf.Subject.CommonName; name != got {
				t.Fatalf("%q got %q", asked, name)
			}
			if r := <-result; !bytes.Equal(r.Identity.Server, inPEM(leaf.Raw)) {
				t.Fatalf("%q: the app would see another certificate", asked)
			}
		}
	}
}

// TestFailures: what a peer gets, and what the log says.
func TestFailures(t *testing.T) {
	a := newAuthority(t)
	config := open(t, a.settings(t, keyFor.ec()))
	for want, speak := range map[string]func(raw net.Conn){
		"client offered only unsupported versions": func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}).Handshake()
		},
		"no cipher suite supported by both client and server": func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, InsecureSkipVerify: true}).Handshake()
		},
		"the client answered: bad certificate": func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{ServerName: "localhost"}).Handshake()
		},
		"client requested unsupported application protocols": func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true}).Handshake()
		},
		"first record does not look like a TLS handshake": func(raw net.Conn) {
			_, _ = raw.Write([]byte{23, 3, 1, 0, 1, 1})
		},
		"the connection has closed": func(raw net.Conn) {
			_, _ = raw.Write([]byte{22, 3, 1, 0, 1, 1})
			raw.Close()
		},
		"error decoding message": func(raw net.Conn) {
			_, _ = raw.Write([]byte{22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3})
		},
	} {
		raw, result := serve(t, config)
		speak(raw)
		if r := <-result; !strings.Contains(r.Failure, want) {
			t.Errorf("%q, want %q", r.Failure, want)
		}
	}
}

// TestCancel: a handshake whose connection closes ends, whatever it waits for.
func TestCancel(t *testing.T) {
	a := newAuthority(t)
	config := open(t, a.settings(t, keyFor.ec()))
	for fed := range 2 {
		news := make(chan struct{}, 100)
		s := Start(config, func(*Shake) { news <- struct{}{} })
		var hello bytes.Buffer
		client := tls.Client(&recorder{to: &hello}, a.client())
		_ = client.Handshake()
		for waits := false; !waits; {
			<-news
			_, waits, _ = s.Step(nil)
		}
		if fed == 1 {
			s.Feed(hello.Bytes())
			for waits := false; !waits; {
				<-news
				_, waits, _ = s.Step(nil)
			}
		}
		s.Cancel()
		for done := false; !done; {
			<-news
			_, _, done = s.Step(nil)
		}
		if s.Result().Failure != errEnded.Error() {
			t.Fatal(s.Result().Failure)
		}
	}
}

// recorder is a connection that only takes what is written.
type recorder struct {
	net.Conn
	to io.Writer
}

func (r *recorder) Write(p []byte) (int, error) { return r.to.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorder) Close() error                { return nil }

// TestSlowKey: signatures with RSA run in one thread of low priority, and go on when the server closes.
func TestSlowKey(t *testing.T) {
	var s signer
	for range 3 {
		priority := 0
		s.do(func() { priority = niceness(t) })
		if priority != lowest {
			t.Fatal(priority)
		}
	}
	s.close()
	s.close()
	ran := false
	if s.do(func() { ran = true }); !ran {
		t.Fatal("the signature was lost")
	}
	var unused signer
	unused.close()
	if unused.do(func() { ran = false }); ran {
		t.Fatal("the signature was lost")
	}
}

// niceness is that of this thread (proc(5): stat).
func niceness(t *testing.T) (n int) {
	text, err := os.ReadFile("/proc/thread-self/stat")
	if err != nil {
		t.Fatal(err)
	}
	const at = 19 - 3
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if _, err = fmt.Sscan(fields[at], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReason(t *testing.T) {
	if got := reason(errors.New("tls: a: tls: b")); got != "a: b" {
		t.Fatal(got)
	}
}
