// What a connection keeps between two records.

package tlsrecord

// half is one direction.
type half struct {
	secret [48]byte // TLS 1.3: the traffic secret. TLS 1.2: the key, then the nonce
	seq    uint64
}

// Session is both directions of a connection. It holds no pointer, so it can lie outside Go's heap; its keys are made again when they
// are needed.
type Session struct {
	in, out half
	Suite   uint16
	Version uint16
	Owner   uint32 // identifies the session in a Cache; not 0
	slot    uint32 // of the cache, where the keys may be

	// Of the peer.
	idle    uint8 // records in a row without data
	partial uint8 // octets of an incomplete handshake message
	message [keyUpdateBytes]byte
	owes    bool // we must change our key before the next data
}
