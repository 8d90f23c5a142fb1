//go:build full

// What the handshakes of a server share.

package tlsshake

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

// Settings are the TLS options of a server.
type Settings struct {
	Certificates, Keys []string // files in PEM, in pairs; without keys, each certificate's file has its key too
	Password           string   // of the keys that are encrypted; "": none
	Authorities        string   // file in PEM with those that sign clients' certificates; "": clients are not asked
	Required           bool     // a client must have a certificate
	Suites             []string // of TLS 1.2, by their names of IANA or OpenSSL; nil: all that tlsrecord knows
	MinVersion         uint16   // 0: TLS 1.2
	Tickets            int      // descriptor of the file with the secret of tickets, which openSecret fills; 0: no tickets
	Protocols          []string // for ALPN
}

// Config makes the configuration of each handshake. When a file changes, the handshakes after that use the new contents; a file that
// cannot be used is logged, and the old contents stay.
type Config struct {
	settings Settings
	log      func(line string)
	now      func() time.Time
	signer   signer

	mu     sync.Mutex
	config *loaded
	files  []stamp
	looked time.Time // when the files were last looked at
	period int64     // of the ticket keys
	secret []byte    // of the ticket keys, in mapped memory; nil: no tickets, or closed
	free   *time.Timer
}

// loaded is what the files contain.
type loaded struct {
	*tls.Config
	identities []*Identity // of clients without a certificate, by the number of ours
}

// suites12 are the suites of TLS 1.2 with an AEAD, the only ones that tlsrecord knows, and OpenSSL's names for them.
var suites12 = []struct {
	id      uint16
	openSSL string
}{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"},
}

// suites are those of TLS 1.2 that the server offers.
func (s *Settings) suites() (all []uint16, err error) {
	for _, one := range suites12 {
		if s.Suites == nil || slices.Contains(s.Suites, one.openSSL) || slices.Contains(s.Suites, tls.CipherSuiteName(one.id)) {
			all = append(all, one.id)
		}
	}
	if s.Suites != nil && len(all) == 0 {
		return nil, fmt.Errorf("ssl_ciphers: %s: none of them is known", strings.Join(s.Suites, ":"))
	}
	return all, nil
}

// Open reads the files. log gets one line when they have changed, from another goroutine. The error says which option is to blame.
func Open(settings Settings, log func(line string), now func() time.Time) (*Config, error) {
	c := &Config{settings: settings, log: log, now: now, looked: now()}
	c.files = c.stamps()
	config, err := c.load()
	if err != nil {
		return nil, err
	}
	c.config = config
	if settings.Tickets != 0 {
		if c.secret, err = openSecret(settings.Tickets); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// load reads the files and makes a configuration of them.
func (c *Config) load() (*loaded, error) {
	s := &c.settings
	config := &tls.Config{
		MinVersion:             max(s.MinVersion, tls.VersionTLS12),
		NextProtos:             s.Protocols,
		SessionTicketsDisabled: s.Tickets == 0,
	}
	var err error
	if config.CipherSuites, err = s.suites(); err != nil {
		return nil, err
	}
	for i := range s.Certificates {
		pair, err := s.pair(i, c.now())
		if err != nil {
			return nil, err
		}
		pair.PrivateKey = c.signer.of(pair.PrivateKey)
		config.Certificates = append(config.Certificates, pair)
	}
	if s.Authorities != "" {
		pool, err := authorities(s.Authorities)
		if err != nil {
			return nil, err
		}
		config.ClientCAs, config.ClientAuth = pool, tls.VerifyClientCertIfGiven
		if s.Required {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return &loaded{config, identities(config.Certificates)}, nil
}

// current is the configuration for a handshake that begins now.
func (c *Config) current() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) >= limits.CertificateInterval {
		c.looked = now
		c.reload()
	}
	if c.secret != nil {
		if period := periodOf(now); period != c.period {
			c.period = period
			c.config.SetSessionTicketKeys(ticketKeys(c.secret, period))
		}
	}
	return c.config
}

// reload loads the files again if one of them has changed.
func (c *Config) reload() {
	files := c.stamps()
	if same(files, c.files) {
		return
	}
	c.files = files
	config, err := c.load()
	if err != nil {
		c.log("the certificates have changed and cannot be used, so the old ones stay: " + err.Error())
		return
	}
	c.config, c.period = config, 0
	c.log("the certificates have changed and are loaded: " + c.describe())
}

// describe is the first certificate's name and end.
func (c *Config) describe() string {
	leaf, err := x509.ParseCertificate(c.config.Certificates[0].Certificate[0])
	if err != nil {
		return c.settings.Certificates[0]
	}
	return c.settings.Certificates[0] + ", valid until " + leaf.NotAfter.UTC().Format(time.DateTime) + " UTC"
}

// ReleaseSoon releases what handshakes, or dropped keys, leave in Go's heap, some time after the last call.
func (c *Config) ReleaseSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free == nil {
		c.free = time.AfterFunc(limits.HandshakeRelease, debug.FreeOSMemory)
		return
	}
	c.free.Reset(limits.HandshakeRelease)
}

// Close stops the release of memory, and drops the secret of tickets.
func (c *Config) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free != nil {
		c.free.Stop()
	}
	c.signer.close()
	if c.secret != nil {
		pool.Unmap(c.secret)
		c.secret = nil
	}
}
