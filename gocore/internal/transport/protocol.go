// The table of protocols: a byte in each connection selects its protocol.

package transport

import "saltare/gocore/internal/handoff"

// Kind is the index of a protocol in the loop's table.
type Kind uint8

// Protocol is the functions of a protocol. Command, Deadline and Drain are called for connections in phase Busy, Expire for those in
// Busy or Head.
//
// No function may close a connection or work on another one: it marks (Loop.Mark, Loop.PutReady), and the loop acts on the mark.
type Protocol interface {
	// Readable continues: input may have arrived, output may have left, or an obstacle may be gone. It does all the work it can, and
	// returns at once when the connection ends.
	Readable(c *Conn)
	// Command carries out a command for a stream of the connection.
	Command(c *Conn, k *handoff.Command, payload []byte)
	// Deadline is the tick at which the connection expires; 0: never.
	Deadline(c *Conn) uint32
	// Expire handles the passing of the deadline.
	Expire(c *Conn)
	// Drain: the server is stopping. A connection with a request in progress continues.
	Drain(c *Conn)
	// Gone releases what the protocol holds for a connection that is being closed.
	Gone(c *Conn)
	// Doing describes the connection's work for logs.
	Doing(c *Conn) string
	// Patient tells whether write_timeout does not apply to unsent output.
	Patient() bool
}

// most is the largest number of protocols of a server.
const most = 4

// Add registers a protocol. Connections begin with the one that their listener names.
func (l *Loop) Add(p Protocol) (k Kind) {
	k = Kind(l.known)
	l.protocols[k] = p
	l.known++
	return k
}

// Switch changes the protocol of the connection. Input that is left is processed in this turn.
func (l *Loop) Switch(c *Conn, to Kind) {
	c.protocol = to
	if c.HasInput() {
		l.PutReady(c)
	}
}

// Command passes a command to the connection's protocol.
func (l *Loop) Command(c *Conn, k *handoff.Command, payload []byte) {
	l.protocols[c.protocol].Command(c, k, payload)
}

// Doing describes the connection's work for logs.
func (l *Loop) Doing(c *Conn) string {
	if c.phase == Busy {
		return l.protocols[c.protocol].Doing(c)
	}
	return c.phase.String()
}
