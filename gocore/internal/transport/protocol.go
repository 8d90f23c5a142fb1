// The protocols, by a table: what a connection does is chosen by the byte that it carries.

package transport

import "saltare/gocore/internal/handoff"

// Kind is a protocol: its place in the table of a loop.
type Kind uint8

// Protocol is the functions of one. Command, Deadline and Drain are for a connection that is Busy, Expire for one that is Busy or in
// phase Head.
//
// None may close a connection, or go on with another one: each marks (Loop.Mark, Loop.PutReady), and the loop acts on it.
type Protocol interface {
	// Readable goes on: bytes may have come, output may have left, or what held the connection up is over. It goes as far as there is
	// something to do, and ends at once where the connection ends.
	Readable(c *Conn)
	// Command carries out a command for a stream of the connection.
	Command(c *Conn, k *handoff.Command, payload []byte)
	// Deadline is the tick at which the connection has taken too long; 0: it may take its time.
	Deadline(c *Conn) uint32
	// Expire: that tick is over.
	Expire(c *Conn)
	// Drain: the server is to stop. A connection that has something to wait for goes on.
	Drain(c *Conn)
	// Gone gives back what the protocol holds of a connection that is being closed.
	Gone(c *Conn)
	// Doing is what logs say of it.
	Doing(c *Conn) string
	// Patient tells whether unsent output has no deadline of its own.
	Patient() bool
}

// most is how many protocols a server may speak.
const most = 4

// Add makes a protocol known. Connections begin with the first one unless their listener names another.
func (l *Loop) Add(p Protocol) (k Kind) {
	k = Kind(l.known)
	l.protocols[k] = p
	l.known++
	return k
}

// Switch lets the connection speak another protocol from now on. What is left of its input is looked at in this turn.
func (l *Loop) Switch(c *Conn, to Kind) {
	c.protocol = to
	if c.HasInput() {
		l.PutReady(c)
	}
}

// Command hands a command to the protocol.
func (l *Loop) Command(c *Conn, k *handoff.Command, payload []byte) {
	l.protocols[c.protocol].Command(c, k, payload)
}

// Doing is what logs say of the connection.
func (l *Loop) Doing(c *Conn) string {
	if c.phase == Busy {
		return l.protocols[c.protocol].Doing(c)
	}
	return c.phase.String()
}
