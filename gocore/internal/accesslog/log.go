// Package accesslog is the access log: a line for each request, written by a goroutine of its own.
//
// The loop records what a request says when it begins, because its head is gone when its response ends, and makes the line then. Lines
// wait in a buffer of fixed size. The writer takes the whole buffer and writes it by one system call, so that only the writer waits for
// a slow disk or a pipe that nobody reads. Lines that find no room are counted, and lost.
//
//	log.go      records of requests, and their lines
//	field.go    the fields of a line
//	format.go   the format of a line
//	escape.go   values that a peer chose
//	writer.go   the buffer, and the goroutine that writes it
//	file.go     the file, and its replacement
package accesslog

import (
	"bytes"
	"os"
	"time"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
	"saltare/gocore/internal/transport"
)

// Config configures a log.
type Config struct {
	On      bool
	Path    string // stdout, stderr, or an absolute path
	Format  string
	Exclude []byte // paths, each with a CRLF behind it; one that ends in * stands for all that begin so
	Worker  uint32
}

// Outcome is how an exchange ended.
type Outcome uint8

const (
	Complete Outcome = iota // the app's whole response was sent
	Cut                     // a part of the response was sent
	Gone                    // the peer has gone, and nothing was sent
	Refused                 // the server refused the request
	Failed                  // the app failed, and the server sent 500
	Opened                  // a websocket was accepted
	Closed                  // a websocket has ended
)

// String is a switch, because it would build a table of strings in each call.
func (o Outcome) String() string {
	switch o {
	case Complete:
		return "complete"
	case Cut:
		return "cut"
	case Gone:
		return "gone"
	case Refused:
		return "refused"
	case Failed:
		return "failed"
	case Opened:
		return "open"
	}
	return "closed"
}

// PeerGone is the status of a request whose peer left before the response began. No response has it.
const PeerGone = 499

// End is what the line has of the end of an exchange.
type End struct {
	In, Out uint64 // octets of the bodies, or of a websocket's messages
	Status  uint16
	Code    uint16 // close code of a websocket
	Outcome Outcome
}

// end is an End and the times.
type end struct {
	End
	lasted, waited time.Duration // since the head of the request, until now and until the response began
	answered       bool
}

// record is what is kept of a request until its line is written. It lies outside Go's heap and holds no Go pointer.
type record struct {
	began     time.Duration
	first     time.Duration // when the response began
	long      pool.Buffer   // of a text that does not fit
	size      uint32        // of the text
	websocket bool
	answered  bool
	short     [limits.LogRecordBytes]byte
}

// text is what the early parts of its template have made of the request.
func (r *record) text() []byte {
	if r.long.None() {
		return r.short[:r.size]
	}
	return r.long.Bytes()[:r.size]
}

// unknownMinor is the version of a request whose head is not known.
const unknownMinor = 0xff

// Names are what a request is called, as far as options ask for that; nil: it is not known.
type Names struct{ ID, Trace []byte }

// Log is the log of one server, whose lock protects it.
type Log struct {
	Names Names // of the request that begins

	format  *format
	most    int // octets of a value
	exclude [][]byte
	worker  uint32
	pid     int

	clock   *transport.Clock
	records pool.Slab[record]
	buffers pool.Buffers
	request request
	end     end    // of the line being made
	text    []byte // of a record
	stamps  stamps
	writer  *writer
	path    string

	hostText []byte // of the last client
	hostOf   handoff.Address
}

// New makes a log that writes nothing before Open. ErrFormat, or the error of mmap.
func New(c Config, clock *transport.Clock) (*Log, error) {
	f, err := compile(c.Format)
	if err != nil {
		return nil, err
	}
	l := &Log{format: f, worker: c.Worker, pid: os.Getpid(), clock: clock, path: c.Path}
	for _, path := range bytes.Split(c.Exclude, []byte("\r\n")) {
		if len(path) > 0 {
			l.exclude = append(l.exclude, path)
		}
	}
	if l.writer, err = newWriter(); err != nil {
		return nil, err
	}
	return l, nil
}

// Open opens the file and starts the writer. The error is that of open(2).
func (l *Log) Open() error {
	f, err := l.openFile()
	if err == nil {
		l.writer.start(f)
	}
	return err
}

func (l *Log) openFile() (*file, error) {
	f, err := openFile(l.path)
	if err == nil {
		l.most = l.format.most(f.longestLine())
	}
	return f, err
}

// Reopen replaces the file by one of the same name. If that fails, the old one stays. A standard stream stays as well.
func (l *Log) Reopen() error {
	if l.path == stdout || l.path == stderr || l.writer.done == nil {
		return nil
	}
	f, err := l.openFile()
	if err == nil {
		l.writer.replace(f)
	}
	return err
}

// Begin records a request that the server describes. It returns the number of its record + 1; 0: it gets no line.
func (l *Log) Begin(r *handoff.Request, websocket bool) uint32 {
	l.request.Request = r
	l.request.names, l.Names = l.Names, Names{}
	defer func() { l.request = request{scratch: l.request.scratch} }()
	if l.excludes() {
		return 0
	}
	l.text = l.format.record(l.text[:0], l.format.of(websocket), l)
	number, one, err := l.records.Alloc()
	if err == nil && len(l.text) > len(one.short) {
		if one.long, err = l.buffers.Get(len(l.text)); err != nil {
			l.records.Free(number)
		}
	}
	if err != nil {
		l.writer.lose(1, 0)
		return 0
	}
	one.began, one.size, one.websocket = l.clock.Elapsed, uint32(len(l.text)), websocket
	copy(one.text(), l.text)
	return number + 1
}

func (l *Log) excludes() bool {
	if len(l.exclude) == 0 {
		return false
	}
	path := l.request.span(l.request.RawPath)
	if l.request.Path != 0 {
		path = handoff.Bytes(l.request.Path, uint64(l.request.PathLen))
	}
	for _, one := range l.exclude {
		prefix, all := bytes.CutSuffix(one, []byte("*"))
		if all && bytes.HasPrefix(path, prefix) || bytes.Equal(path, one) {
			return true
		}
	}
	return false
}

// Answered notes that the response begins.
func (l *Log) Answered(number uint32) {
	if one := l.records.At(number - 1); !one.answered {
		one.first, one.answered = l.clock.Elapsed, true
	}
}

// End writes the line of a record and frees it.
func (l *Log) End(number uint32, e End) {
	one := l.records.At(number - 1)
	t := l.format.of(one.websocket)
	if e.Outcome == Closed {
		t = l.format.closed
	}
	l.write(t, one, e)
	if !one.long.None() {
		l.buffers.Put(one.long)
	}
	l.records.Free(number - 1)
}

// Opens writes the first line of a websocket, if the format has one; another one follows at its end.
func (l *Log) Opens(number uint32, e End) {
	if l.format.opened != nil {
		l.write(l.format.opened, l.records.At(number-1), e)
	}
}

// Unparsed writes the line of a request whose head is not known.
func (l *Log) Unparsed(client *handoff.Address, e End) {
	if number := l.Begin(&handoff.Request{Client: *client, Minor: unknownMinor}, false); number != 0 {
		l.Answered(number)
		l.End(number, e)
	}
}

func (l *Log) write(t template, one *record, e End) {
	now := l.clock.Elapsed
	l.end = end{End: e, lasted: now - one.began, waited: one.first - one.began, answered: one.answered}
	w := l.writer
	if w.lines = l.format.line(w.lines, t, one.text(), l); len(w.lines) >= limits.LogBatchBytes {
		w.handOver(now)
	}
}

// BeforeWait wakes the writer if lines have waited long enough. within is how long the server may wait otherwise; ok: there are such
// lines.
func (l *Log) BeforeWait() (within time.Duration, ok bool) {
	return l.writer.beforeWait(l.clock.Elapsed)
}

// Lost is the number of lines that were lost, and the error of the last one; 0: there was no room.
func (l *Log) Lost() (n uint64, errno int) { return l.writer.lostLines() }

// Release frees unused memory and returns the number of bytes.
func (l *Log) Release(most int) (released int) {
	released = l.records.Release()
	released += l.buffers.Release(most - released)
	l.writer.release()
	return released
}

// Close writes all lines and closes the file. If that takes longer than limits.LogFlush, lines are lost.
func (l *Log) Close() {
	l.writer.close(l.clock.Elapsed)
	l.records.Close()
	l.buffers.Close()
}

// Compile-time checks that a line fits behind a batch, and that the length of a recorded text fits its two octets.
const _ = uint(limits.LogBufferBytes - limits.LogBatchBytes - limits.LogFileLineBytes)
const _ = uint(1<<16 - 1 - limits.LogFileLineBytes)
