//go:build full

package tlsshake

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"
)

// TestWrongFiles: each error names the option, the file and the cause.
func TestWrongFiles(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	cert, key := a.issue(t, "good", keyFor.ec(), now)
	expired, expiredKey := a.issue(t, "expired", keyFor.ec(), now.Add(-2*time.Hour))
	future, futureKey := a.issue(t, "future", keyFor.ec(), now.Add(2*time.Hour))
	weak, weakKey := a.issue(t, "weak", keyFor.weak(), now)
	_, otherKey := a.issue(t, "other", keyFor.rsa(), now)
	empty := a.write(t, "empty.pem")
	broken := a.write(t, "broken.pem", &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	brokenKey := a.write(t, "broken.key", &pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	encrypted := a.write(t, "encrypted.key", &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	older := a.write(t, "older.key", &pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})
	for name, c := range map[string]struct{ cert, key, ca, want string }{
		"no certificate":         {a.path("none.pem"), key, "", "ssl_certfile: " + a.path("none.pem") + ": cannot be read: no such file or directory"},
		"folder":                 {a.folder, key, "", "ssl_certfile: " + a.folder + ": cannot be read: is a directory"},
		"no key":                 {cert, a.path("none.key"), "", "ssl_keyfile: " + a.path("none.key") + ": cannot be read: no such file or directory"},
		"empty certificate":      {empty, key, "", "ssl_certfile: " + empty + ": contains no certificate in PEM"},
		"key as certificate":     {key, key, "", "ssl_certfile: " + key + ": contains no certificate in PEM"},
		"broken certificate":     {broken, key, "", "ssl_certfile: " + broken + ": its first certificate cannot be read"},
		"certificate as key":     {cert, cert, "", "ssl_keyfile: " + cert + ": contains no private key in PEM"},
		"broken key":             {cert, brokenKey, "", "ssl_keyfile: " + brokenKey + ": its private key cannot be read"},
		"encrypted key":          {cert, encrypted, "", "ssl_keyfile: " + encrypted + ": is encrypted; give its password with ssl_keyfile_password"},
		"older encrypted key":    {cert, older, "", "ssl_keyfile: " + older + ": is encrypted; "},
		"of another certificate": {cert, otherKey, "", "ssl_keyfile: " + otherKey + ": is not the key of the certificate in " + cert},
		"expired":                {expired, expiredKey, "", "ssl_certfile: " + expired + ": expired on "},
		"not yet":                {future, futureKey, "", "ssl_certfile: " + future + ": is not valid before "},
		"weak":                   {weak, weakKey, "", "ssl_keyfile: " + weakKey + ": is an RSA key of 1024 bits"},
		"no authorities":         {cert, key, empty, "ssl_ca_file: " + empty + ": contains no certificate in PEM"},
		"authorities not there":  {cert, key, a.path("none"), "ssl_ca_file: " + a.path("none") + ": cannot be read: no such file or directory"},
		"good":                   {cert, key, a.path("ca.pem"), ""},
		"without keys":           {cert, "", "", "ssl_certfile: " + cert + ": contains no private key; name its file with ssl_keyfile"},
	} {
		s := Settings{Certificates: []string{c.cert}, Authorities: c.ca}
		if c.key != "" {
			s.Keys = []string{c.key}
		}
		config, err := Open(s, func(string) {}, time.Now)
		if err == nil {
			config.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestKeyForms: every usual form of a key is read, alone or behind its certificate in one file.
func TestKeyForms(t *testing.T) {
	a := newAuthority(t)
	for name, signer := range map[string]func() (block *pem.Block, cert string){
		"EC, SEC 1": func() (*pem.Block, string) {
			der, _ := x509.MarshalECPrivateKey(keyOf(keyFor.ec()))
			cert, _ := a.issue(t, "ec", keyFor.ec(), time.Now())
			return &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}, cert
		},
		"RSA, PKCS 1": func() (*pem.Block, string) {
			cert, _ := a.issue(t, "rsa", keyFor.rsa(), time.Now())
			return &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaOf(keyFor.rsa()))}, cert
		},
	} {
		block, cert := signer()
		key := a.write(t, "form.key", block)
		open(t, Settings{Certificates: []string{cert}, Keys: []string{key}})
		text, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(name, err)
		}
		both := a.write(t, "both.pem", &pem.Block{Type: "EC PARAMETERS"}, block)
		keyText, _ := os.ReadFile(both)
		if err := os.WriteFile(both, append(text, keyText...), 0o600); err != nil {
			t.Fatal(name, err)
		}
		open(t, Settings{Certificates: []string{both}})
	}
}

// TestPasswords: keys that OpenSSL has encrypted with the password "secret" (openssl pkcs8 -topk8, and openssl ec -aes128).
func TestPasswords(t *testing.T) {
	for name, text := range encryptedKeys {
		block, _ := pem.Decode([]byte(text))
		der, err := decrypt(block, "secret")
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err = parseKey(der); err != nil {
			t.Fatal(name, err)
		}
		if der, err = decrypt(block, "wrong"); err == nil {
			if _, err = parseKey(der); err == nil {
				t.Fatal(name, "a wrong password was accepted")
			}
		}
		for i := range block.Bytes { // damage never panics
			damaged := &pem.Block{Type: block.Type, Headers: block.Headers, Bytes: append([]byte(nil), block.Bytes...)}
			damaged.Bytes[i] ^= 0x55
			_, _ = decrypt(damaged, "secret")
		}
	}
}
