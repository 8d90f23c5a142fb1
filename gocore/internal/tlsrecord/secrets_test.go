package tlsrecord

import (
	"bytes"
	"fmt"
	"testing"
)

func TestSecrets(t *testing.T) {
	hello := append([]byte{typeHandshake, 3, 3, 0, 38, 2, 0, 0, 34, 3, 3}, make([]byte, 32)...)
	secret, random := bytes.Repeat([]byte("ab"), 48), bytes.Repeat([]byte("cd"), 32)
	line := func(label string) string { return fmt.Sprintf("%s %s %s\n", label, random, secret) }
	both := line("CLIENT_TRAFFIC_SECRET_0") + line("SERVER_TRAFFIC_SECRET_0")
	for name, c := range map[string]struct {
		log            string
		version, suite uint16
		sent           []byte
		ok             bool
	}{
		"1.3":                      {both, TLS13, AES256GCM13, hello, true},
		"1.3, one direction":       {line("CLIENT_TRAFFIC_SECRET_0"), TLS13, AES256GCM13, hello, false},
		"1.3, twice one direction": {line("CLIENT_TRAFFIC_SECRET_0") + line("CLIENT_TRAFFIC_SECRET_0"), TLS13, AES256GCM13, hello, false},
		"1.3, other lines":         {line("CLIENT_HANDSHAKE_TRAFFIC_SECRET") + both + line("EXPORTER_SECRET"), TLS13, ChaCha13, hello, true},
		"1.3, half a record":       {both, TLS13, AES256GCM13, hello[:20], false},
		"1.3, a suite of 1.2":      {both, TLS13, RSAWithChaCha, hello, false},
		"1.2":                      {line("CLIENT_RANDOM"), TLS12, RSAWithChaCha, hello, true},
		"1.2, no line":             {"", TLS12, RSAWithChaCha, hello, false},
		"1.2, no ServerHello":      {line("CLIENT_RANDOM"), TLS12, RSAWithChaCha, hello[:40], false},
		"1.2, a suite with CBC":    {line("CLIENT_RANDOM"), TLS12, 0xc013, hello, false},
		"1.2, not hexadecimal":     {"CLIENT_RANDOM zz yy\n", TLS12, RSAWithChaCha, hello, false},
		"1.2, too long":            {fmt.Sprintf("CLIENT_RANDOM %s %s00\n", random, secret), TLS12, RSAWithChaCha, hello, false},
		"1.1":                      {line("CLIENT_RANDOM"), 0x0302, RSAWithChaCha, hello, false},
	} {
		t.Run(name, func(t *testing.T) {
			var secrets Secrets
			for _, one := range bytes.SplitAfter([]byte(c.log), []byte("\n")) {
				if n, err := secrets.Write(one); n != len(one) || err != nil {
					t.Fatal(n, err)
				}
			}
			made, ok := secrets.Session(c.version, c.suite, c.sent)
			if ok != c.ok || !ok && made != (Session{}) {
				t.Fatal(made, ok)
			}
			if secrets != (Secrets{}) {
				t.Fatal("the secrets are kept")
			}
		})
	}
}

// TestTickets: the number of tickets at the end of what the server has sent is found.
func TestTickets(t *testing.T) {
	for n := range 4 {
		server, _ := pair(TLS13, AES256GCM13)
		secret := server.out.secret
		sent := append([]byte{typeHandshake, 3, 3, 0, 1, 2}, typeChangeCipherSpec, 3, 3, 0, 1, 1)
		other, _ := pair(TLS13, AES256GCM13)
		other.out.secret[0]++
		other.Make(&other.Session)
		sent = append(sent, other.sealed(typeHandshake, make([]byte, 900))...)
		for range n {
			sent = append(sent, server.sealed(typeHandshake, make([]byte, 200))...)
		}
		secrets := Secrets{client: secret, server: secret, hasClient: true, hasServer: true}
		made, ok := secrets.Session(TLS13, AES256GCM13, sent)
		if !ok || made.out.seq != uint64(n) || made.in.seq != 0 {
			t.Fatal(n, made.out.seq, ok)
		}
	}
}

func TestMasterSecret(t *testing.T) {
	var secrets Secrets
	secrets.SetMaster(make([]byte, 47), make([]byte, 32))
	secrets.SetMaster(make([]byte, 48), make([]byte, 31))
	if secrets.hasMaster {
		t.Fatal("a secret of a wrong length was taken")
	}
	secrets.SetMaster(bytes.Repeat([]byte{1}, 48), make([]byte, 32))
	secrets.SetMaster(bytes.Repeat([]byte{2}, 48), make([]byte, 32))
	if !secrets.hasMaster || secrets.client[0] != 1 {
		t.Fatal(secrets.client[0])
	}
}
