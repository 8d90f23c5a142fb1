// The peers of these tests: crypto/tls, and a session with its directions exchanged.

package tlsrecord

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// suites are all suites with their version.
var suites = []struct {
	name    string
	version uint16
	suite   uint16
}{
	{"AES128GCM13", TLS13, AES128GCM13},
	{"AES256GCM13", TLS13, AES256GCM13},
	{"ChaCha13", TLS13, ChaCha13},
	{"ECDSAWithAES128GCM", TLS12, ECDSAWithAES128GCM},
	{"ECDSAWithAES256GCM", TLS12, ECDSAWithAES256GCM},
	{"RSAWithAES128GCM", TLS12, RSAWithAES128GCM},
	{"RSAWithAES256GCM", TLS12, RSAWithAES256GCM},
	{"RSAWithChaCha", TLS12, RSAWithChaCha},
	{"ECDSAWithChaCha", TLS12, ECDSAWithChaCha},
}

func eachSuite(t *testing.T, test func(t *testing.T, version, suite uint16)) {
	for _, one := range suites {
		t.Run(one.name, func(t *testing.T) { test(t, one.version, one.suite) })
	}
}

// end is one end of a connection: a session and its keys.
type end struct {
	Session
	Keys
}

// pair is a server and its peer, at the start of their sequence numbers.
func pair(version, suite uint16) (server, peer *end) {
	server, peer = &end{}, &end{}
	server.Version, server.Suite, server.Owner = version, suite, 1
	for i := range server.in.secret {
		server.in.secret[i], server.out.secret[i] = byte(i), byte(100+i)
	}
	if version == TLS12 {
		server.in.seq, server.out.seq = 1, 1
	}
	peer.Session = server.Session
	peer.in, peer.out = server.out, server.in
	server.Make(&server.Session)
	peer.Make(&peer.Session)
	return server, peer
}

func (e *end) sealed(kind byte, data []byte) []byte {
	return e.Session.seal(&e.Keys.seal, nil, kind, data)
}

func (e *end) data(data []byte) []byte { return e.AppendSealed(&e.Keys, nil, data) }

// opens opens whole records in a copy of b.
func (e *end) opens(b []byte) (plain []byte, used int, failure *Failure) {
	copied := append([]byte(nil), b...)
	n, used, failure := e.Open(&e.Keys, copied, 1<<30)
	return copied[:n], used, failure
}

// wire is a server's connection, which crypto/tls reads one record at a time and never beyond.
type wire struct {
	net.Conn
	sent []byte
	left int
}

func (w *wire) Read(p []byte) (int, error) {
	if w.left == 0 {
		header := make([]byte, HeaderBytes)
		if _, err := io.ReadFull(w.Conn, header); err != nil {
			return 0, err
		}
		w.left = int(header[3])<<8 + int(header[4])
		return copy(p, header), nil // crypto/tls reads into 512 octets at least
	}
	n, err := w.Conn.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.sent = append(w.sent, p...)
	return w.Conn.Write(p)
}

var certificates = sync.OnceValue(func() []tls.Certificate {
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	now := time.Now()
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	first, _ := x509.CreateCertificate(rand.Reader, of, of, &ecKey.PublicKey, ecKey)
	second, _ := x509.CreateCertificate(rand.Reader, of, of, &rsaKey.PublicKey, rsaKey)
	return []tls.Certificate{{Certificate: [][]byte{first}, PrivateKey: ecKey}, {Certificate: [][]byte{second}, PrivateKey: rsaKey}}
})

// shaken is a server after a handshake with crypto/tls as both sides, whose server side is dropped: client is the peer of server, over
// the connection raw.
func shaken(t *testing.T, version, suite uint16) (client *tls.Conn, raw net.Conn, server *end) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	raw, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close(); dialed.Close() })
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
	if version == TLS12 {
		config.CipherSuites = []uint16{suite}
	}
	client = tls.Client(dialed, config)
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()

	var secrets Secrets
	w := &wire{Conn: raw}
	of := tls.Server(w, &tls.Config{Certificates: certificates(), KeyLogWriter: &secrets})
	if err := of.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	server = &end{}
	made, ok := secrets.Session(of.ConnectionState().Version, of.ConnectionState().CipherSuite, w.sent)
	if !ok || made.Version != version || version == TLS12 && made.Suite != suite {
		t.Fatalf("session of version %x with suite %x: %v", made.Version, made.Suite, ok)
	}
	server.Session = made
	server.Make(&server.Session)
	return client, raw, server
}
