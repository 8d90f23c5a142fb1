// What the connections of one server share.  per turn

package conn

import (
	"time"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/timer"
	"saltare/gocore/internal/websocket"
)

// Config is what a server was told. Times are in ticks, 0 is off.
type Config struct {
	HeaderTimeout, KeepAliveTimeout, BodyTimeout, WriteTimeout, WSKeepAliveTimeout uint32

	MaxConnections       uint32
	MaxKeepAliveRequests uint32
	MaxRequestBody       uint64
	MaxHead              http1.Limits // its zero value: the defaults
	WSMaxBytes           uint64

	ServerHeader []byte // complete line, or nil
	ExtraHeaders []byte // complete lines, or nil
	DateHeader   bool
	WSDeflate    bool
	WSContext    bool // of compressed messages is kept
	Debug        bool
	Fault        func(during string, port uint16) // of tests: called within work for the peer with that port; nil: none
	Forked       *uint32                          // not 0 once the process has forked; may be nil
}

// Listener is a listening socket that somebody else opened and will close.
type Listener struct {
	FD       int
	Wildcard bool
}

// Counts are the figures of one server since it was opened.
type Counts struct {
	Requests, Accepted, Refused, Panics uint64
}

// Host owns every connection of one server. One driver at a time may call it.
type Host struct {
	Config    Config
	Listeners []Listener
	Counts    Counts
	Workers   *counters.Table // nil: there are no others

	poll     *poll.Poll
	inbox    *handoff.Inbox
	conns    pool.Slab[Conn]
	streams  pool.Slab[Stream]
	sockets  pool.Slab[Socket]
	buffers  pool.Buffers
	wheel    timer.Wheel
	head     http1.Head
	shake    websocket.Handshake
	heard    websocket.Piece
	inflater websocket.Inflater
	deflater websocket.Deflater
	scratch  []byte // what is written out at once: lines of an upgrade, a deflated message
	defaults message.Defaults
	out      output
	queues   queues
	files    files
	packs    packs
	working  *Conn             // for which the work is that is under way
	ready    pool.List[uint32] // connections to go on with in this turn
	taken    int               // of ready, gone on with
	later    pool.List[uint32] // connections that had no room, or more of a file to send than one step
	retry    pool.List[uint32] // those of the last turn
	resumed  int               // of retry, taken up again
	due      pool.List[uint32] // connections whose deadline may be over
	judged   int               // of due, looked at
	idle     int               // connections that wait for a request
	idlers   idlers
	came     uint64 // bytes read from peers

	epoch     time.Time
	now       uint32 // tick
	wall      int64  // milliseconds, for other workers
	second    int64  // of the Date line
	serial    uint32
	reserve   int               // a descriptor to spend when there are none left
	arriving  int               // one that was accepted and is no connection yet; -1: there is none
	acceptAt  uint32            // tick at which a pause of accepting ends; 0: there is none
	lookAt    uint32            // tick at which listeners are looked at again, where a connection was left to another worker; 0: none was
	starved   bool              // connections are turned away, and the log says so
	limitSaid [allLimits]uint32 // tick + 1 at which a refusal by each was logged; 0: never
	panicked  []uintptr         // places whose stack was logged
	overdue   []string          // lines that are to be logged
	draining  bool

	unaccepted bool // a listener that workers share was left before it was empty
}

// Open makes it a host without connections, now. The caller keeps poll and inbox.
func (h *Host) Open(config Config, set *poll.Poll, inbox *handoff.Inbox, now time.Time) {
	h.Config, h.poll, h.inbox = config, set, inbox
	h.head.Limits = config.MaxHead
	h.epoch, h.reserve, h.arriving = now, -1, -1
	h.wheel.Node = func(i uint32) *timer.Node { return &h.conns.At(i).node }
	h.defaults.Server = config.ServerHeader
	h.defaults.Extra = config.ExtraHeaders
	h.openReserve()
	h.Clock(h.epoch)
}

// Clock sets the time for what follows.
func (h *Host) Clock(now time.Time) {
	h.now = uint32(now.Sub(h.epoch) / limits.Tick)
	if h.Workers != nil {
		h.wall = now.UnixMilli()
	}
	if second := now.Unix(); h.Config.DateHeader && second != h.second {
		h.second = second
		h.defaults.Date = http1.AppendDate(h.defaults.Date[:0], second)
	}
}

// ticks is d rounded up.
func ticks(d time.Duration) uint32 { return uint32((d + limits.Tick - 1) / limits.Tick) }

// Ticks converts an option; a positive time is never rounded to off.
func Ticks(ms uint32) uint32 { return ticks(time.Duration(ms) * time.Millisecond) }

// nextSerial is never 0, the serial of a zeroed record.
func (h *Host) nextSerial() uint32 {
	if h.serial++; h.serial == 0 {
		h.serial = 1
	}
	return h.serial
}

// Ready takes one report of epoll about a connection.
func (h *Host) Ready(tag poll.Tag, bits uint32) {
	if !h.conns.Has(tag.Number()) {
		return
	}
	c := h.conns.At(tag.Number())
	if c.phase == Closed || !tag.Is(c.serial) {
		return
	}
	h.WorkFor(c)
	c.hangup = c.hangup || bits&(poll.HalfClose|poll.Gone) != 0
	c.gone = c.gone || bits&poll.Gone != 0
	c.readable = c.readable || c.hangup || bits&poll.In != 0
	if bits&poll.Out != 0 && !c.writable {
		c.writable = true
		h.writeQueue(c)
	}
	h.fault("report")
	h.drive(c)
}

// wait puts a connection off to the next turn.
func (h *Host) wait(c *Conn) {
	if !c.waiting {
		c.waiting = true
		h.later.Append(c.number)
	}
}

// Waiting tells whether connections were put off.
func (h *Host) Waiting() bool {
	return h.ready.Len()+h.later.Len()+h.due.Len() > 0 || h.resumed < h.retry.Len() || h.unaccepted && !h.draining
}

// Resume takes up what the last turn put off.
func (h *Host) Resume() {
	if h.unaccepted && !h.draining {
		h.AcceptAll()
	}
	if h.resumed == h.retry.Len() {
		h.retry.Drop(h.resumed)
		h.later, h.retry, h.resumed = h.retry, h.later, 0
	}
	for h.resumed < h.retry.Len() {
		c := h.conns.At(h.retry.Items()[h.resumed])
		h.resumed++
		if c.waiting && c.phase != Closed {
			c.waiting = false
			h.WorkFor(c)
			h.fault("resume")
			h.flushOf(c)
			if c.queue != 0 {
				h.writeQueue(c)
			}
			h.drive(c)
			if h.draining {
				h.retire(c)
				h.settle(c)
			}
		}
	}
}

// Connections is how many are open.
func (h *Host) Connections() int { return h.conns.Live() }

// Streams is how many requests are in the app's hands.
func (h *Host) Streams() int { return h.streams.Live() }

// Sockets is how many of them are, or may become, WebSockets.
func (h *Host) Sockets() int { return h.sockets.Live() }

// Buffers is how many read buffers connections hold.
func (h *Host) Buffers() int { return h.buffers.Live() }

// Queues is how many connections have unsent output.
func (h *Host) Queues() int { return h.queues.all.Live() }

// Files is how many files wait to be sent.
func (h *Host) Files() int { return h.files.live }

// Unsent is the bytes queued for slow peers.
func (h *Host) Unsent() int { return h.queues.bytes }

// Held is a number that changes when the host holds more or less than before, so that there may be something to release.
func (h *Host) Held() int {
	return h.Connections() + h.Streams() + h.Sockets() + h.Buffers() + h.Queues() + h.packs.live() + h.packs.seen
}

// NextDeadline is how long the server may sleep; ok is false when nothing is due.
func (h *Host) NextDeadline(now time.Time) (d time.Duration, ok bool) {
	at, ok := h.wheel.Next()
	for _, look := range [...]uint32{h.acceptAt, h.lookAt} {
		if look != 0 && !h.draining && (!ok || look < at) {
			at, ok = look, true
		}
	}
	if !ok {
		return 0, false
	}
	return max(h.epoch.Add(time.Duration(at)*limits.Tick).Sub(now), 0), true
}
