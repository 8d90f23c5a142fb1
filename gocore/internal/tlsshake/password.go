//go:build full

// Private keys that a password encrypts: PKCS 8 with PBES2 (RFC 8018 6.2), which OpenSSL writes, and its older form in PEM.

package tlsshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"hash"
	"strings"
)

// mostIterations bounds the time that a file can make the start take. OpenSSL writes 2,048 or 600,000.
const mostIterations = 10_000_000

var (
	errPassword = errors.New("its password is wrong")
	errScheme   = errors.New("it is encrypted in a way that is not supported; write it anew: openssl pkcs8 -topk8 -v2 aes256")
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	keySizes  = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32} // AES-CBC
	digests   = map[string]func() hash.Hash{"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New,
		"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New} // HMAC
)

type encryptedKey struct {
	Algorithm struct {
		Scheme     asn1.ObjectIdentifier
		Parameters struct {
			Derivation struct {
				Scheme     asn1.ObjectIdentifier
				Parameters struct {
					Salt       []byte
					Iterations int
					Length     int                      `asn1:"optional"`
					Digest     pkix.AlgorithmIdentifier `asn1:"optional"`
				}
			}
			Cipher struct {
				Scheme asn1.ObjectIdentifier
				IV     []byte
			}
		}
	}
	Data []byte
}

// isEncrypted tells whether a block with a private key needs a password.
func isEncrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}

// decrypt is the key in DER.
func decrypt(block *pem.Block, password string) ([]byte, error) {
	if block.Type != "ENCRYPTED PRIVATE KEY" {
		der, err := x509.DecryptPEMBlock(block, []byte(password)) //nolint:staticcheck // weak, but the files exist
		if err != nil {
			return nil, errPassword
		}
		return der, nil
	}
	var key encryptedKey
	if _, err := asn1.Unmarshal(block.Bytes, &key); err != nil {
		return nil, errScheme
	}
	parameters := &key.Algorithm.Parameters
	derivation := &parameters.Derivation.Parameters
	size, digest := keySizes[parameters.Cipher.Scheme.String()], digests[derivation.Digest.Algorithm.String()]
	if !key.Algorithm.Scheme.Equal(oidPBES2) || !parameters.Derivation.Scheme.Equal(oidPBKDF2) || size == 0 || digest == nil ||
		len(parameters.Cipher.IV) != aes.BlockSize || derivation.Iterations < 1 || derivation.Iterations > mostIterations {
		return nil, errScheme
	}
	secret, err := pbkdf2.Key(digest, password, derivation.Salt, derivation.Iterations, size)
	if err != nil {
		return nil, errScheme
	}
	return unpadded(secret, parameters.Cipher.IV, key.Data)
}

// unpadded is what AES-CBC has encrypted, without its padding, which also shows whether the password is right.
func unpadded(secret, iv, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errScheme
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize || n > len(plain) {
		return nil, errPassword
	}
	return plain[:len(plain)-n], nil
}
