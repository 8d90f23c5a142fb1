//go:build full

// The loop of these tests: it feeds a handshake from a real socket, and then echoes with the session.

package tlsshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/tlsrecord"
)

// keyFor makes each kind of key once, because RSA takes long.
var keyFor = struct {
	ec, rsa, weak func() crypto.Signer
}{
	sync.OnceValue(func() crypto.Signer { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k }),
	sync.OnceValue(func() crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k }),
	sync.OnceValue(func() crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, 1024); return k }),
}

// authority signs certificates, and writes them to files in folder.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    crypto.Signer
	pool   *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{folder: t.TempDir(), key: key, pool: x509.NewCertPool()}
	now := time.Now()
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, of, of, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	a.write(t, "ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) write(t *testing.T, name string, blocks ...*pem.Block) string {
	t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a.path(name)
}

var serial int64 = 1

// issue writes NAME.pem and NAME.key, for the name and for an hour around at.
func (a *authority) issue(t *testing.T, name string, key crypto.Signer, at time.Time) (cert, keyFile string) {
	t.Helper()
	serial++
	of := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: at.Add(-time.Hour), NotAfter: at.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, of, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert = a.write(t, name+".pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, a.write(t, name+".key", &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// settings are those of a server with one certificate for localhost.
func (a *authority) settings(t *testing.T, key crypto.Signer) Settings {
	cert, keyFile := a.issue(t, "localhost", key, time.Now())
	return Settings{Certificates: []string{cert}, Keys: []string{keyFile}, Tickets: ticketFile(t), Protocols: []string{"http/1.1"}}
}

// ticketFile is an empty file in memory for the secret of tickets.
func ticketFile(t *testing.T) int {
	t.Helper()
	fd, err := unix.MemfdCreate("tickets", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func (a *authority) client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}}
}

func open(t *testing.T, s Settings) *Config {
	t.Helper()
	c, err := Open(s, func(line string) { t.Error(line) }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// dialed is both ends of a TCP connection.
func dialed(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// handshake feeds a handshake from raw. rest is the input behind it.
func handshake(of *Config, raw net.Conn) (r *Result, rest []byte) {
	news := make(chan struct{}, 100)
	s := Start(of, func(*Shake) { news <- struct{}{} })
	var in []byte
	buf := make([]byte, 16<<10)
	for {
		<-news
		out, waits, done := s.Step(nil)
		if len(out) > 0 {
			_, _ = raw.Write(out)
		}
		if done {
			return s.Result(), in
		}
		for waits {
			n, failure := tlsrecord.Whole(in)
			if failure != nil {
				s.Cancel()
				break
			}
			if n > 0 {
				s.Feed(in[:n])
				in = in[n:]
				break
			}
			k, err := raw.Read(buf)
			if err != nil {
				s.Cancel()
				break
			}
			in = append(in, buf[:k]...)
		}
	}
}

// echo shakes hands and returns what it reads, until the peer closes.
func echo(of *Config, raw net.Conn) *Result {
	defer raw.Close()
	r, in := handshake(of, raw)
	if r.Failure != "" {
		return r
	}
	s := r.Session
	var keys tlsrecord.Keys
	keys.Make(&s)
	buf := make([]byte, 32<<10)
	for {
		plain, used, failure := s.Open(&keys, in, 1<<30)
		_, _ = raw.Write(s.AppendSealed(&keys, nil, in[:plain]))
		in = in[used:]
		if failure != nil {
			_, _ = raw.Write(s.AppendAlert(&keys, nil, failure))
			return r
		}
		n, err := raw.Read(buf)
		if err != nil {
			return r
		}
		in = append(in, buf[:n]...)
	}
}

// serve runs echo for one connection, and returns the client's socket and the result.
func serve(t *testing.T, of *Config) (client net.Conn, result chan *Result) {
	client, server := dialed(t)
	result = make(chan *Result, 1)
	go func() { result <- echo(of, server) }()
	return client, result
}

func keyOf(k crypto.Signer) *ecdsa.PrivateKey { return k.(*ecdsa.PrivateKey) }
func rsaOf(k crypto.Signer) *rsa.PrivateKey   { return k.(*rsa.PrivateKey) }
