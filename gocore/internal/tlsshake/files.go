//go:build full

// Certificates, keys and authorities from files. Each error names the option, the file, and what is wrong with it.

package tlsshake

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

const leastRSABits = 2048

// Names of the options, as in saltare/options/table.py.
const (
	certOption        = "ssl_certfile"
	keyOption         = "ssl_keyfile"
	passwordOption    = "ssl_keyfile_password"
	authoritiesOption = "ssl_ca_file"
)

// stamp tells whether a file has changed.
type stamp struct {
	size     int64
	modified time.Time
	exists   bool
}

func same(a, b []stamp) bool {
	return slices.EqualFunc(a, b, func(a, b stamp) bool {
		return a.size == b.size && a.exists == b.exists && a.modified.Equal(b.modified)
	})
}

// stamps are those of all files. A file behind a changed link changes, too.
func (c *Config) stamps() (all []stamp) {
	s := &c.settings
	for _, name := range append(slices.Concat(s.Certificates, s.Keys), s.Authorities) {
		var one stamp
		if info, err := os.Stat(name); err == nil {
			one = stamp{info.Size(), info.ModTime(), true}
		}
		all = append(all, one)
	}
	return all
}

// wrong is an error of one file.
func wrong(option, file, format string, values ...any) error {
	return fmt.Errorf("%s: %s: %s", option, file, fmt.Sprintf(format, values...))
}

func read(option, file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	var of *fs.PathError
	if errors.As(err, &of) {
		return nil, wrong(option, file, "cannot be read: %v", of.Err)
	}
	return text, err
}

// pair is certificate i with its key.
func (s *Settings) pair(i int, now time.Time) (tls.Certificate, error) {
	certFile := s.Certificates[i]
	text, err := read(certOption, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair := tls.Certificate{Certificate: blocks(text, isCertificate)}
	if len(pair.Certificate) == 0 {
		return pair, wrong(certOption, certFile, "contains no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return pair, wrong(certOption, certFile, "its first certificate cannot be read: %v", err)
	}
	keyFile := certFile
	if len(s.Keys) > 0 {
		keyFile = s.Keys[i]
		if text, err = read(keyOption, keyFile); err != nil {
			return pair, err
		}
	}
	key, err := s.privateKey(text, keyFile)
	if err != nil {
		return pair, err
	}
	pair.PrivateKey, pair.Leaf = key, leaf
	return pair, s.check(certFile, keyFile, leaf, key, now)
}

// check finds what makes a pair useless.
func (s *Settings) check(certFile, keyFile string, leaf *x509.Certificate, key crypto.Signer, now time.Time) error {
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return wrong(keyOption, keyFile, "is not the key of the certificate in %s", certFile)
	}
	if rsaKey, ok := key.(*rsa.PrivateKey); ok && rsaKey.N.BitLen() < leastRSABits {
		return wrong(keyOption, keyFile, "is an RSA key of %d bits, which clients reject; make one of %d bits, or an ECDSA key", rsaKey.N.BitLen(), leastRSABits)
	}
	layout := time.DateTime + " UTC"
	switch {
	case now.After(leaf.NotAfter):
		return wrong(certOption, certFile, "expired on %s", leaf.NotAfter.UTC().Format(layout))
	case now.Before(leaf.NotBefore):
		return wrong(certOption, certFile, "is not valid before %s", leaf.NotBefore.UTC().Format(layout))
	}
	return nil
}

func isCertificate(kind string) bool { return kind == "CERTIFICATE" }

// blocks are the contents of the PEM blocks of a kind.
func blocks(text []byte, wanted func(kind string) bool) (all [][]byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if wanted(block.Type) {
			all = append(all, block.Bytes)
		}
	}
	return all
}

// privateKey is the first private key in a file.
func (s *Settings) privateKey(text []byte, file string) (crypto.Signer, error) {
	option, own := keyOption, len(s.Keys) > 0
	if !own {
		option = certOption
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		der, err := block.Bytes, error(nil)
		if isEncrypted(block) {
			if s.Password == "" {
				return nil, wrong(option, file, "is encrypted; give its password with %s", passwordOption)
			}
			if der, err = decrypt(block, s.Password); err != nil {
				return nil, wrong(option, file, "%v", err)
			}
		}
		key, err := parseKey(der)
		if err != nil && isEncrypted(block) {
			return nil, wrong(option, file, "%v", errPassword) // a wrong password may leave a correct padding
		}
		if err != nil {
			return nil, wrong(option, file, "its private key cannot be read: %v", err)
		}
		return key, nil
	}
	if !own {
		return nil, wrong(option, file, "contains no private key; name its file with %s", keyOption)
	}
	return nil, wrong(option, file, "contains no private key in PEM (-----BEGIN PRIVATE KEY-----)")
}

// parseKey parses PKCS 8, and the older forms for RSA and ECDSA.
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it cannot sign")
	}
	return signer, nil
}

// authorities are the certificates that sign those of clients.
func authorities(file string) (*x509.CertPool, error) {
	text, err := read(authoritiesOption, file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, wrong(authoritiesOption, file, "contains no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	return pool, nil
}

// reason is why a handshake has failed, for logs.
func reason(err error) string {
	text := strings.ReplaceAll(err.Error(), "tls: ", "")
	if alert, ok := strings.CutPrefix(text, "remote error: "); ok {
		return "the client answered: " + alert
	}
	return text
}
