// Connections, buffers and turns: what one server may hold, and what each of it costs.

package limits

import "time"

// Turn. One turn touches at most these; what does not fit waits for the next turn, so no peer can starve the others.
const (
	// ArenaBytes is the memory into which a turn reads, unless heads may be larger: see Arena. Only what is used of it is ever
	// touched: some 400 bytes for a small request.
	ArenaBytes = 512 << 10
	// ReadBytes is the most that one read(2) asks for.
	ReadBytes = 64 << 10
	// ReadFloorBytes is the least worth a read(2): with less room left the connection waits for the next turn.
	ReadFloorBytes = 4 << 10
	// Events is the capacity of the inbox, 32 bytes each.
	Events = 2048
	// EventsPerStep is what one step of one connection may add to the inbox.
	EventsPerStep = 4
	// PollEvents is how many ready descriptors one epoll_wait(2) reports, 12 bytes each.
	PollEvents = 256
	// AcceptBatch is how many connections one turn accepts from one listener.
	AcceptBatch = 8
	// MostBacklog is how many connections a listener may hold (listen_backlog): so many are accepted when the server drains.
	MostBacklog = 65535
	// IdleCandidates is how many of the longest idle connections one sweep finds, at the limit of connections. Price: 12 bytes
	// each, at that limit; a sweep of all records, some 2 ns each, for so many new connections.
	IdleCandidates = 64
	// ExpirePerTurn is how many connections, for each listener, one turn ends because they took too long, some 10 us each.
	ExpirePerTurn = 8
	// AttentiveMilliseconds: a worker whose turn began no longer ago is believed to take up a connection at once.
	AttentiveMilliseconds = 10
	// SlotBytes is a worker's share of the table of counters: four cache lines, so that no two workers write to one, nor
	// to a pair that is fetched together. Price: one page for 15 workers, in all of them together.
	SlotBytes = 256
	// RSSInterval: a worker whose resident memory is limited looks at it no more often, and only after a request. Price: a
	// system call of some 5 us.
	RSSInterval = time.Second
	// AcceptPause: so long nothing is accepted once accept(2) failed for want of descriptors or memory. Price: peers that
	// connect meanwhile wait.
	AcceptPause = 250 * time.Millisecond
	// DrainLinger: a connection that had a response no longer ago than this is kept when the server drains, for its next
	// request may be on the way; a proxy or a client that keeps connections busy would take their end for a failure.
	// Price: a stop takes as much longer while there are such connections.
	DrainLinger = 500 * time.Millisecond
	// LimitLogInterval: a refusal by a limit is logged once in so long, for each limit.
	LimitLogInterval = time.Minute
	// LogLineBytes is the longest line of an EventLog: one with a stack of some 20 functions.
	LogLineBytes = 2 << 10
	// PanicsPerStep: a step of the turn is given up for this turn once it has panicked so often, each time for another connection.
	PanicsPerStep = 1024
	// PanicPlaces is how many places that panicked are logged, once each, 8 bytes.
	PanicPlaces = 64
)

// Proof that connections are ended as fast as they are accepted.
const _ = uint(ExpirePerTurn - AcceptBatch)

// View is kept free behind every read for the request's view: decoded path, fields, subprotocols and the view itself.
func View(lineBytes, fields int) int { return lineBytes + fields*20 + MaxSubprotocols*8 + 512 }

// Arena is the size of an arena in which a connection whose head may have so many octets always makes progress.
func Arena(headBytes, view int) int { return max(ArenaBytes, headBytes+ReadBytes+2*view) }

// Back-pressure. See py_send.c for its half of the output window.
const (
	// UnreadBytes: a request body is not read further while the app has not taken this much of it.
	UnreadBytes = 64 << 10
	// PieceCostBytes is what a piece of a body counts in that besides its bytes, so that reading stops after some 250 of single
	// bytes: each wakes the app's loop. Pieces that wait are one object, so they cost no memory. A piece of a response counts the
	// same: a single byte of it is a command of 32 and six more in its chunk, and one without bytes must count too.
	PieceCostBytes = 256
	// FileCostBytes is what a file in a response counts besides its bytes, so that no more than some 20 descriptors wait for one peer.
	FileCostBytes = 4 << 10
	// LowWaterBytes: a waiting send goes on when no more than this is unsent. C lets SendWindowBytes pass before it
	// waits, so at most LowWaterBytes + SendWindowBytes = 64 KiB, plus one piece, are unsent.
	LowWaterBytes   = 16 << 10
	SendWindowBytes = 48 << 10
	// InlineBytes: a piece up to this size is copied next to its head or chunk size and leaves in one segment.
	InlineBytes = 4 << 10
	// FileStepBytes of files are sent to one connection before others have their turn, however fast it takes them: a third
	// of a millisecond.
	FileStepBytes = 1 << 20
	// GatherSegments is how many pieces one sendmsg(2) takes.
	GatherSegments = 32
	// GatherBytes are mapped for what a turn says to one connection: more than its window and the heads of frames and chunks
	// in it come to. Price: what of it was touched since the last release.
	GatherBytes = 1 << 20
	// UnsentBytes is the largest buffer for what a socket did not take of bytes that are not borrowed. The first is of the class
	// that holds what there is, each further one of a larger class than the one before. Price: less than 12 KiB of the last
	// one are unused.
	UnsentBytes = 16 << 10
)

// Ends of life.
const (
	// DiscardBytes of a request body that the app did not want are read to keep the connection; with more to come it is closed.
	DiscardBytes = 256 << 10
	// LingerTimeout and LingerBytes bound how long a peer that is still sending is listened to after its last response,
	// so that the response is not lost to a reset (RFC 9112 9.6).
	LingerTimeout = 2 * time.Second
	LingerBytes   = 4 << 20
)

// Timers.
const (
	// Tick is the grain of every deadline.
	Tick = 16 * time.Millisecond
	// WheelSlots times Tick is the farthest a deadline is seen at once (33 s); farther ones are looked at again then.
	// 4 bytes each.
	WheelSlots = 2048
)

// Buffers that connections hold between turns: an unfinished head, or requests pipelined behind the one being answered.
// An idle connection holds none.
var BufferClasses = [...]int{512, 4 << 10, 16 << 10, 64 << 10, 128 << 10}

const (
	// BufferSpanBytes are mapped at a time for one class, or as many as 64 buffers take. Price: none, a page costs memory once
	// a buffer in it is used.
	BufferSpanBytes = 1 << 20
	// SlabChunkBytes are mapped at a time for connection and stream records.
	SlabChunkBytes = 64 << 10
	// ConnBytes and StreamBytes are what one record may take; tests hold them to it.
	ConnBytes   = 128
	StreamBytes = 128
	// QueueBytes and SegmentBytes are the same of unsent output: for each connection that has some, and for each run of it
	// that lies together.
	QueueBytes   = 24
	SegmentBytes = 80
	// Rest: when the app has said nothing for this long, pages of code are dropped. Price: one more wake-up, 2 ms of CPU.
	Rest = time.Second
	// RestInterval: from one rest to the next, for apps that are asked something every other second.
	RestInterval = 3 * time.Second
	// Lull: when the app has said nothing for this long, Python is told that it may clean up. Price: a wake-up, 3 to 10 ms.
	Lull = 3 * time.Second
	// IdleRelease: buffers and records not in use are given back to the system so long after what a server holds began to
	// change, and again while it goes on. Price: some 20 us each time, and a wake-up when the server is idle.
	IdleRelease = 30 * time.Second
	// ReleaseBytes are given back at a time, requests are looked at in between. Price: some 0.2 ms for each MiB.
	ReleaseBytes = 4 << 20
	// GarbageBytes: so much must Go's heap have grown before it is collected and given back, from HeapBytes, which it holds at
	// first. Price: so much may stay, since a first collection costs 240 KiB for good; a release takes some 600 us then.
	GarbageBytes = 512 << 10
	HeapBytes    = 384 << 10
)

// Ticks is d in ticks, rounded up.
func Ticks(d time.Duration) uint32 { return uint32((d + Tick - 1) / Tick) }
