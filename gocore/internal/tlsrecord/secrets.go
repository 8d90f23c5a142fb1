// A session from the secrets of a finished handshake.

package tlsrecord

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
)

const (
	secretBytes = 48 // at most; the master secret of TLS 1.2 has as many
	randomBytes = 32
)

// Secrets takes the key log of one handshake: lines in the NSS format, as crypto/tls writes them. It keeps what a session needs.
type Secrets struct {
	client, server [secretBytes]byte // traffic secrets of TLS 1.3; client also the master secret of TLS 1.2
	random         [randomBytes]byte // of the client, in TLS 1.2
	hasClient      bool
	hasServer      bool
	hasMaster      bool
}

// Write takes one line.
func (s *Secrets) Write(line []byte) (int, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return len(line), nil
	}
	switch string(fields[0]) {
	case "CLIENT_TRAFFIC_SECRET_0":
		s.hasClient = decode(s.client[:], fields[2])
	case "SERVER_TRAFFIC_SECRET_0":
		s.hasServer = decode(s.server[:], fields[2])
	case "CLIENT_RANDOM":
		s.hasMaster = decode(s.random[:], fields[1]) && decode(s.client[:], fields[2])
	}
	return len(line), nil
}

func decode(to, text []byte) bool {
	if hex.DecodedLen(len(text)) > len(to) {
		return false
	}
	_, err := hex.Decode(to, text)
	return err == nil
}

// SetMaster sets the master secret of a session of TLS 1.2 that was resumed, whose key log has no line. random is the client's.
func (s *Secrets) SetMaster(master, random []byte) {
	if len(master) == secretBytes && len(random) == randomBytes && !s.hasMaster {
		s.hasMaster = true
		copy(s.client[:], master)
		copy(s.random[:], random)
	}
}

// Session makes the session, and forgets the secrets. sent is all that the server has sent in the handshake. ok is false if secrets are
// missing or sent is not what a server sends.
func (s *Secrets) Session(version, suite uint16, sent []byte) (made Session, ok bool) {
	made = Session{Version: version, Suite: suite}
	switch {
	case !supported(version, suite):
	case version == TLS13 && s.hasClient && s.hasServer:
		made.in.secret, made.out.secret = s.client, s.server
		made.out.seq, ok = countSealed(made, sent)
	case version == TLS12 && s.hasMaster:
		ok = s.expand(&made, sent)
	}
	*s = Secrets{}
	if !ok {
		return Session{}, false
	}
	return made, true
}

func supported(version, suite uint16) bool {
	switch suite {
	case AES128GCM13, AES256GCM13, ChaCha13:
		return version == TLS13
	case ECDSAWithAES128GCM, ECDSAWithAES256GCM, RSAWithAES128GCM, RSAWithAES256GCM, RSAWithChaCha, ECDSAWithChaCha:
		return version == TLS12
	}
	return false
}

// expand derives the keys of TLS 1.2 (RFC 5246 6.3). Each side has sealed one record, its Finished.
func (s *Secrets) expand(made *Session, sent []byte) bool {
	random := serverRandom(sent)
	if random == nil {
		return false
	}
	n, iv := keyBytes(made.Suite), saltBytes
	if isChaCha(made.Suite) {
		iv = nonceBytes
	}
	seed := append(bytes.Clone(random), s.random[:]...)
	block := pseudoRandom(made.Suite, s.client[:], "key expansion", seed, 2*n+2*iv)
	copy(made.in.secret[:], block[:n])
	copy(made.out.secret[:], block[n:2*n])
	copy(made.in.secret[n:], block[2*n:2*n+iv])
	copy(made.out.secret[n:], block[2*n+iv:])
	made.in.seq, made.out.seq = 1, 1
	clear(block)
	return true
}

// serverRandom is the random of the ServerHello, the first message that a server of TLS 1.2 sends.
func serverRandom(sent []byte) []byte {
	const serverHello, at = 2, HeaderBytes + 4 + 2
	if len(sent) < at+randomBytes || sent[0] != typeHandshake || sent[HeaderBytes] != serverHello {
		return nil
	}
	return sent[at : at+randomBytes]
}

// pseudoRandom is the PRF of RFC 5246 5.
func pseudoRandom(suite uint16, secret []byte, label string, seed []byte, n int) (out []byte) {
	seed = append([]byte(label), seed...)
	mac := hmac.New(hashOf(suite), secret)
	sum := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}

// countSealed is the number of records at the end of sent that our traffic secret has sealed: tickets of TLS 1.3. The first of them is
// the only record that opens as number 0.
func countSealed(made Session, sent []byte) (n uint64, ok bool) {
	var records [][]byte
	for len(sent) > 0 {
		size, failure := Whole(sent)
		if size == 0 || failure != nil {
			return 0, false
		}
		records = append(records, sent[:size])
		sent = sent[size:]
	}
	probe := Session{Version: made.Version, Suite: made.Suite, in: half{secret: made.out.secret}}
	var k Keys
	k.Make(&probe)
	for i := len(records) - 1; i >= 0; i-- {
		probe.in.seq = 0
		if _, _, failure := probe.open(&k.open, bytes.Clone(records[i])); failure == nil {
			return uint64(len(records) - i), true
		}
	}
	return 0, true
}
