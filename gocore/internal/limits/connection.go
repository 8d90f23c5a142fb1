// Connections, buffers and turns: what one server may hold, and what each costs.

package limits

import "time"

// Turn. The limits of one turn; what exceeds them waits for the next turn, so no peer can starve the others.
const (
	// ArenaBytes is the memory into which a turn reads, unless heads may be larger: see Arena. It becomes resident only as far as it is
	// used: about 400 bytes for a small request.
	ArenaBytes = 512 << 10
	// ReadBytes is the largest read(2).
	ReadBytes = 64 << 10
	// ReadFloorBytes is the smallest read(2): with less room left, the connection waits for the next turn.
	ReadFloorBytes = 4 << 10
	// Events is the capacity of the inbox, 32 bytes each.
	Events = 2048
	// EventsPerStep is how many events one step of one connection may add to the inbox.
	EventsPerStep = 4
	// PollEvents is how many ready descriptors one epoll_wait(2) reports, 12 bytes each.
	PollEvents = 256
	// AcceptBatch is how many connections one turn accepts from one listener.
	AcceptBatch = 8
	// MostBacklog is the largest backlog of a listener (listen_backlog), which the server accepts when it drains.
	MostBacklog = 65535
	// IdleCandidates is how many of the longest idle connections one sweep finds, at the limit of connections. Price: 12 bytes each, at
	// that limit; and a sweep of all records, about 2 ns each, for every IdleCandidates new connections.
	IdleCandidates = 64
	// ExpirePerTurn is how many connections per listener one turn ends because of their deadlines, about 10 us each.
	ExpirePerTurn = 8
	// Addresses is how many addresses the limits by address know at a time, in sets of AddressWays: of those in one set, what is known of
	// the least important one is given up for a new one. Price, with such a limit: 64 KiB for rates, or per worker for
	// connections, as far as it is touched.
	Addresses   = 4096
	AddressWays = 8
	// AddressEntryBytes, AddressRegionBytes, AddressHeaderBytes and AddressSlots are the layout of their table.
	AddressEntryBytes  = 16
	AddressRegionBytes = Addresses * AddressEntryBytes
	AddressHeaderBytes = 4 << 10
	AddressSlots       = 1000
	// AnswersPerTurn is how many requests one turn answers without the app; further requests wait for the next turn. Only a peer that
	// sends requests faster than they are answered reaches it. Price: the app's events wait for at most so many answers, 5 us each.
	AnswersPerTurn = 1024
	// AvailableMilliseconds: a worker whose turn began at most this long ago is expected to accept a connection at once.
	AvailableMilliseconds = 10
	// SlotBytes is a worker's share of the table of counters: four cache lines, so that no two workers write to the same line, or to a
	// pair of lines that is fetched together. Price: one page for 15 workers, shared by all of them.
	SlotBytes = 256
	// FigureBytes is a worker's share of the table of figures, which is there only if metrics are on; MostBuckets is the most buckets of
	// a histogram in it (metrics_buckets), and MostReasons the most reasons for a refusal or a close.
	FigureBytes = 1 << 10
	MostBuckets = 20
	MostReasons = 24
	// Stall is the shortest turn of the app that counts as a stall: others wait, and people notice. StallWindow is the time for which
	// the longest turn is reported, and at most twice that: longer than between two scrapes.
	Stall       = 100 * time.Millisecond
	StallWindow = time.Minute
	// MemoryInterval is how long the memory of the workers, once read for metrics, is not read again. Price: 10 us for each worker, and
	// 1 ms for each 100 MiB of its memory.
	MemoryInterval = time.Second
	// MostQueueTime is the longest time in a queue that X-Request-Start is believed to say; more comes from a wrong clock or unit.
	MostQueueTime = time.Hour
	// RSSInterval is the shortest time between checks of the resident memory, if it is limited. Checks follow requests only. Price: a
	// system call of about 5 us.
	RSSInterval = time.Second
	// AcceptPause is how long accepting pauses after accept(2) failed for lack of descriptors or memory. Price: peers that connect
	// meanwhile wait.
	AcceptPause = 250 * time.Millisecond
	// DrainLinger: a draining server keeps a connection that had a response within this time, because its next request may be on the
	// way; a proxy or a client that keeps connections busy would take the close for a failure. Price: a stop takes that much longer
	// while there are such connections.
	DrainLinger = 500 * time.Millisecond
	// LimitLogInterval: refusals because of a limit are logged once in this time, for each limit.
	LimitLogInterval = time.Minute
	// LogLineBytes is the longest line of an EventLog: it holds a stack of about 20 functions.
	LogLineBytes = 2 << 10
	// LogBufferBytes of the access log wait for the writer; lines that find no room are lost. Price: twice that, only while the log is on
	// and only as far as it was used since the last release.
	LogBufferBytes = 256 << 10
	// LogRecordBytes of a request are kept in its record until its line is written; longer ones take a buffer. Price: that much for each
	// request in progress, while the log is on.
	LogRecordBytes = 200
	// LogInterval is how often the writer is woken, unless LogBatchBytes wait: a line is in its file that much later. Price: a system call
	// and a change of threads, about 20 us.
	LogInterval   = 20 * time.Millisecond
	LogBatchBytes = 128 << 10
	// LogFlush is how long the end of a server waits for the writer, which a pipe that nobody reads may hold.
	LogFlush = 2 * time.Second
	// LogFileLineBytes and LogPipeBytes are the longest lines of the access log in a file and elsewhere: a pipe takes no more at once
	// (PIPE_BUF, pipe(7)), and lines of several workers must not mix. Longer values are cut.
	LogFileLineBytes = 32 << 10
	LogPipeBytes     = 4 << 10
	// PanicsPerStep is how often a step of the turn runs again after panics, each for another connection, before this turn skips it.
	PanicsPerStep = 1024
	// PanicPlaces is how many places of panics are logged, once each. Price: 8 bytes each.
	PanicPlaces = 64
)

// Compile-time check that connections are ended as fast as they are accepted.
const _ = uint(ExpirePerTurn - AcceptBatch)

// View is the room left after every read for the request's view: decoded path, fields, subprotocols, and the rest: its names and the
// view itself.
func View(lineBytes, fields int) int {
	return lineBytes + fields*20 + MaxSubprotocols*8 + ViewRestBytes
}

const ViewRestBytes = 512

// Arena is the size of an arena in which a connection with a head of at most headBytes always makes progress.
func Arena(headBytes, view int) int { return max(ArenaBytes, headBytes+ReadBytes+2*view) }

// Back-pressure. py_send.c has C's half of the output window.
const (
	// UnreadBytes: reading a request body pauses while the app has not consumed this much of it.
	UnreadBytes = 64 << 10
	// PieceCostBytes is what a piece of a body adds to that besides its bytes, so that reading pauses after about 250 pieces of a single
	// byte: each piece wakes the app's loop. Waiting pieces are one object, so they cost no memory. A piece of a response costs the same:
	// a single byte takes a command of 32 bytes and six more in its chunk, and an empty piece must count too.
	PieceCostBytes = 256
	// FileCostBytes is what a file in a response adds besides its bytes, so that at most about 20 descriptors wait for one peer.
	FileCostBytes = 4 << 10
	// LowWaterBytes: a waiting send continues when at most this much is unsent. C sends SendWindowBytes before it waits, so at most
	// LowWaterBytes + SendWindowBytes = 64 KiB, plus one piece, are unsent.
	LowWaterBytes   = 16 << 10
	SendWindowBytes = 48 << 10
	// InlineBytes: a piece up to this size is copied next to its head or chunk size and leaves in one segment.
	InlineBytes = 4 << 10
	// FileStepBytes is how much of files one connection gets before others have their turn, however fast it reads: a third of a ms.
	FileStepBytes = 1 << 20
	// GatherSegments is how many pieces one sendmsg(2) takes.
	GatherSegments = 32
	// GatherBytes are mapped for the output of one connection in one turn: more than its window and the headers of frames and chunks in
	// it. Price: the part touched since the last release.
	GatherBytes = 1 << 20
	// UnsentBytes is the largest buffer for unsent bytes that are not borrowed. The first buffer of a queue is of the class that fits,
	// each further buffer of a larger class than the previous one. Price: less than 12 KiB of the last buffer are unused.
	UnsentBytes = 16 << 10
)

// End of a connection.
const (
	// DiscardBytes: this much of a request body that the app did not read is discarded to keep the connection; a longer rest closes it.
	DiscardBytes = 256 << 10
	// LingerTimeout and LingerBytes bound how long, and how much, a peer that is still sending is read after its last response, so that
	// a reset does not lose the response (RFC 9112 9.6).
	LingerTimeout = 2 * time.Second
	LingerBytes   = 4 << 20
)

// Silence of the app, after which it gets a disconnect; a framework then cancels a streamed response.
const (
	// HalfCloseGrace: of a peer that has half-closed, and may still wait for the response. Price: a silent stream outlives a peer that has
	// left by so much.
	HalfCloseGrace = time.Second
	// UnsentGrace: of a peer that has half-closed and accepts none of the unsent output, where write_timeout is off. Price: such a stream
	// lives that much longer.
	UnsentGrace = 30 * time.Second
	// DrainGrace: of a stream without a declared length while the server drains, because it may be endless. Price: a stop takes that much
	// longer while there are such streams.
	DrainGrace = 500 * time.Millisecond
)

// Timers.
const (
	// Tick is the resolution of every deadline.
	Tick = 16 * time.Millisecond
	// WheelSlots times Tick is the farthest tick of the wheel (33 s); a later deadline is checked again then. 4 bytes each.
	WheelSlots = 2048
)

// BufferClasses are the sizes of buffers that connections hold between turns: for an incomplete head, or for requests pipelined behind
// the current one. An idle connection holds none.
var BufferClasses = [...]int{512, 4 << 10, 16 << 10, 64 << 10, 128 << 10}

const (
	// BufferSpanBytes are mapped at a time for one class, at most 64 buffers. Price: none, a page becomes resident when a buffer in it is
	// used.
	BufferSpanBytes = 1 << 20
	// SlabChunkBytes are mapped at a time for connection and stream records.
	SlabChunkBytes = 64 << 10
	// ConnBytes and StreamBytes are the largest size of a record; a compile-time check enforces each.
	ConnBytes   = 128
	StreamBytes = 128
	// QueueBytes and SegmentBytes are the same for unsent output: for each connection with unsent output, and for each contiguous run of
	// it.
	QueueBytes   = 24
	SegmentBytes = 80
	// Pause is the short quiet period: without commands for this long, pages of code are dropped. Price: a wake-up, 2 ms of CPU.
	Pause = time.Second
	// PauseInterval is the shortest time between two short quiet periods, for apps with a request every other second.
	PauseInterval = 3 * time.Second
	// Quiet is the long quiet period: without commands for this long, Python may clean up. Price: a wake-up, 3 to 10 ms.
	Quiet = 3 * time.Second
	// IdleRelease: unused buffers and records are released this long after connections began to change, and again while they do. Price:
	// about 20 us each time, and a wake-up when the server is idle.
	IdleRelease = 30 * time.Second
	// ReleaseBytes are released at a time, with requests handled in between. Price: about 0.2 ms per MiB.
	ReleaseBytes = 4 << 20
	// GarbageBytes is how much Go's heap must grow before it is collected and released, from HeapBytes at first. Price: that much may
	// stay, because the first collection costs 240 KiB for good; such a release takes about 600 us.
	GarbageBytes = 512 << 10
	HeapBytes    = 384 << 10
)

// Ticks is d in ticks, rounded up.
func Ticks(d time.Duration) uint32 { return uint32((d + Tick - 1) / Tick) }
