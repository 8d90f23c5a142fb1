//go:build full

// Package tlsshake runs the handshakes of crypto/tls, which has none that do not block: each in a goroutine, over a connection in memory
// that the server's loop feeds and empties. After a handshake its secrets become a tlsrecord.Session, and crypto/tls is done.
//
// Start at Shake.run.
//
//	shake.go    one handshake
//	config.go   what the handshakes of a server share, and its change when files change
//	files.go    certificates, keys and authorities from files
//	password.go keys that a password encrypts
//	tickets.go  the keys of session tickets
//	signer.go   signatures with RSA, at low priority
package tlsshake
