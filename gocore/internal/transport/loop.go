// What the connections of one server share.

package transport

import (
	"time"

	"saltare/gocore/internal/addresses"
	"saltare/gocore/internal/config"
	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/timer"
)

// Counts are the figures of one server since it was opened.
type Counts struct {
	Requests, Accepted, Refused, Panics uint64
	BadHandshakes                       uint64 // of TLS

	Refusals [journal.Limits]uint64 // by cause; those of Refused, and websockets closed by a limit
}

// Loop owns the connections of one server, its clock and the work of a turn. Only one thread at a time may call it.
type Loop struct {
	Config  config.Config
	Clock   Clock
	Input   Input
	Output  Output
	Timers  Timers
	Accept  Acceptor
	Journal *journal.Journal
	Known   *addresses.Table // nil: no limit counts by address
	Opened  time.Duration    // when the server was opened, since the machine was started; only with Known
	Inbox   *handoff.Inbox
	Counts  Counts
	Prelude Kind              // the protocol whose header comes before TLS; 0: none
	Figures *counters.Figures // nil: metrics are off

	secure    security // nil: no TLS
	protocols [most]Protocol
	known     int

	poll   *poll.Poll
	conns  pool.Slab[Conn]
	births []uint32 // tick at which each connection was accepted, by its number; only with MaxConnectionLifetime
	turn   turn
	room   room

	working  *Conn // the connection being worked on
	serial   uint32
	draining bool
}

// Open initializes a loop without connections at time now. The caller keeps ownership of set, inbox and lines.
func (l *Loop) Open(c config.Config, set *poll.Poll, inbox *handoff.Inbox, lines *journal.Journal, now time.Time) {
	l.Config, l.poll, l.Inbox, l.Journal = c, set, inbox, lines
	l.Timers.wheel.Node = func(i uint32) *timer.Node { return &l.conns.At(i).node }
	l.Clock.Open(now)
	l.Input.loop, l.Output.loop, l.Timers.loop, l.room.loop = l, l, l, l
	l.Accept.open(l)
}

// NextSerial never returns 0, the serial of a zeroed record.
func (l *Loop) NextSerial() uint32 {
	if l.serial++; l.serial == 0 {
		l.serial = 1
	}
	return l.serial
}

// Conn returns the connection with that number, which must have been handed out.
func (l *Loop) Conn(number uint32) *Conn { return l.conns.At(number) }

// Connections is the number of open connections.
func (l *Loop) Connections() int { return l.conns.Live() }

// Buffers is the number of read buffers held by connections.
func (l *Loop) Buffers() int { return l.Input.buffers.Live() }

// Received and Sent are the bytes of all connections since the server was opened.
func (l *Loop) Received() uint64 { return l.Input.came }
func (l *Loop) Sent() uint64     { return l.Output.sent }

// Draining tells whether the server is stopping.
func (l *Loop) Draining() bool { return l.draining }

// Report handles one epoll report about a connection.
func (l *Loop) Report(tag poll.Tag, bits uint32) {
	if !l.conns.Has(tag.Number()) {
		return
	}
	c := l.conns.At(tag.Number())
	if c.phase == Closed || !tag.Is(c.serial) {
		return
	}
	l.WorkFor(c)
	c.hangup = c.hangup || bits&(poll.HalfClose|poll.Gone) != 0
	c.gone = c.gone || bits&poll.Gone != 0
	c.readable = c.readable || c.hangup || bits&poll.In != 0
	if bits&poll.Out != 0 && !c.writable {
		c.writable = true
		l.Output.writeQueue(c)
	}
	l.Fault("report")
	l.drive(c)
}

// Phases counts the open connections by their phase, from Head on.
func (l *Loop) Phases() (counts [Phases]uint64) {
	l.sweep(func(c *Conn) { counts[c.phase-1]++ })
	return counts
}

// sweep calls do for every open connection.
func (l *Loop) sweep(do func(c *Conn)) {
	for i := range l.conns.Len() {
		if c := l.conns.At(i); c.phase != Closed {
			do(c)
		}
	}
}
