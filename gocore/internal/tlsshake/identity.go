//go:build full

// Who the two sides of a connection are, for the app.

package tlsshake

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
)

// Identity is the certificates of both sides. Connections between the same two share it.
type Identity struct {
	Key     [sha256.Size]byte // equal for equal certificates alone
	Server  []byte            // our certificate in PEM
	Chain   []byte            // those of the client in PEM, its own first; nil: it has given none
	Lengths []uint32          // of each certificate in Chain
	Name    []byte            // the client's distinguished name (RFC 4514)
}

// identities are those of clients without a certificate, one for each of ours.
func identities(ours []tls.Certificate) (all []*Identity) {
	for _, one := range ours {
		all = append(all, &Identity{Key: sha256.Sum256(one.Certificate[0]), Server: inPEM(one.Certificate[0])})
	}
	return all
}

// with is the identity together with a client's certificates, if it has given any.
func (i *Identity) with(chain []*x509.Certificate) *Identity {
	if len(chain) == 0 {
		return i
	}
	both := &Identity{Server: i.Server, Name: distinguishedName(chain[0].RawSubject)}
	sum := sha256.New()
	sum.Write(i.Key[:])
	for _, one := range chain {
		text := inPEM(one.Raw)
		sum.Write(text)
		both.Chain = append(both.Chain, text...)
		both.Lengths = append(both.Lengths, uint32(len(text)))
	}
	sum.Sum(both.Key[:0])
	return both
}

func inPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }

// chosen is the number of the certificate for a client, by the rule of tls.Config: the first one that the client can use, or else the
// first. crypto/tls does not tell which one it has sent, and in a resumed session it sends none.
func chosen(ours []tls.Certificate, hello *tls.ClientHelloInfo) int {
	if len(ours) > 1 {
		for i := range ours {
			if hello.SupportsCertificate(&ours[i]) == nil {
				return i
			}
		}
	}
	return 0
}
