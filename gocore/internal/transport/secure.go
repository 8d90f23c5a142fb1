// What TLS adds between a connection's socket and its protocol. The plain flavour has only this file of it.

package transport

import (
	"time"

	"saltare/gocore/internal/handoff"
)

// security is the TLS of a loop. Its connections begin in phase Handshake, and have a session (Conn.tls) after it: then Input.Read opens
// records, and Output seals them.
type security interface {
	// shake continues a handshake. After it the connection is in phase Head.
	shake(c *Conn)
	// news continues the handshakes whose goroutines have got on.
	news()
	// deadline and expire are those of a connection in phase Handshake.
	deadline(c *Conn) uint32
	expire(c *Conn)

	// read is Input.Read for a connection with a session.
	read(c *Conn, b []byte) (n int, ok bool)
	// holdsInput tells whether input was read from the socket that read has not returned.
	holdsInput(c *Conn) bool
	// writeGathered and writeQueued seal and send output. Its plain bytes count as sent once their records have left.
	writeGathered(c *Conn) (done int, failed bool)
	writeQueued(c *Conn) (n int, failed bool)
	// closeNotify says that no more output follows, if all of it has left.
	closeNotify(c *Conn)

	// describe is DescribeTLS for a connection with a session.
	describe(c *Conn)

	// gone releases what is held for a connection that is being closed.
	gone(c *Conn)
	// rest drops what only active connections need.
	rest()
	release() (released int)
	shrink()
	close()
}

// OpenTLS makes all connections speak TLS; the loop must have none yet. The error says which option is to blame.
func (l *Loop) OpenTLS(now func() time.Time) (err error) {
	l.secure, err = newSecurity(l, now)
	return err
}

// Rest drops what only active connections need: a quiet period has been reached.
func (l *Loop) Rest() {
	if l.secure != nil {
		l.secure.rest()
	}
}

// BeginTLS begins the handshake of a connection with a Prelude, if connections speak TLS. Its deadline still counts from accept.
func (l *Loop) BeginTLS(c *Conn) {
	if l.secure == nil {
		return
	}
	since := c.Since
	l.Enter(c, Handshake)
	c.Since = since
}

// DescribeTLS adds what the app gets to know of a connection's TLS to the inbox, behind the view of a request; flags are for its event.
func (l *Loop) DescribeTLS(c *Conn) (flags uint32) {
	if c.tls == 0 {
		return 0
	}
	l.secure.describe(c)
	return handoff.EventTLS
}

// HasTLS tells whether connections speak TLS.
func (l *Loop) HasTLS() bool { return l.secure != nil }

// ContinueHandshakes handles the report of poll.Handshakes.
func (l *Loop) ContinueHandshakes() { l.secure.news() }
