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
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
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

	outcomes
)

func (o Outcome) String() string {
	return [outcomes]string{"complete", "cut", "gone", "refused", "failed", "open", "closed"}[o]
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

// record is what is kept of a request until its line is written. It lies outside Go's heap and holds no Go pointer.
type record struct {
	values   pool.Buffer // each of the format's values: uint16 length or missing, then the escaped text
	began    time.Duration
	first    time.Duration // when the response began
	port     uint16
	minor    uint8
	answered bool
}

const (
	missing      = 0xffff // length of a value that the request does not have
	unknownMinor = 0xff
)

// line is a line while it is written.
type line struct {
	End
	log      *Log
	began    int64         // milliseconds since 1970
	lasted   time.Duration // from the head of the request
	waited   time.Duration // until the response began
	port     uint16
	minor    uint8
	answered bool
}

// Log is the log of one server, whose lock protects it.
type Log struct {
	format  *format
	most    int // octets of a value
	exclude [][]byte
	worker  uint32
	pid     int

	clock   *transport.Clock
	records pool.Slab[record]
	buffers pool.Buffers
	request request
	values  []byte
	text    []byte // the line being made
	stamps  stamps
	writer  *writer
	path    string
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
	l.writer, err = newWriter()
	return l, err
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
func (l *Log) Begin(r *handoff.Request) uint32 {
	l.request.Request = r
	defer func() { l.request.Request = nil }()
	if l.excludes() {
		return 0
	}
	b := l.values[:0]
	for _, f := range l.format.values {
		at := len(b)
		b = append(b, 0, 0)
		n := missing
		if value := f.value(&l.request); value != nil {
			b = l.format.escape(b, value, l.most)
			n = len(b) - at - 2
		}
		b[at], b[at+1] = byte(n), byte(n>>8)
	}
	l.values = b
	return l.keep(b, r)
}

func (l *Log) keep(values []byte, r *handoff.Request) uint32 {
	buffer, err := l.buffers.Get(max(len(values), 1))
	if err != nil {
		l.writer.lose(1, 0)
		return 0
	}
	number, one, err := l.records.Alloc()
	if err != nil {
		l.buffers.Put(buffer)
		l.writer.lose(1, 0)
		return 0
	}
	copy(buffer.Bytes(), values)
	*one = record{values: buffer, began: l.clock.Elapsed, port: r.Client.Port, minor: uint8(r.Minor)}
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
	parts := l.format.request
	if e.Outcome == Closed {
		parts = l.format.closed
	}
	l.write(parts, one, e)
	l.buffers.Put(one.values)
	*one = record{}
	l.records.Free(number - 1)
}

// Open websocket: a line now, and another one at its end.
func (l *Log) Opens(number uint32, e End) {
	if l.format.opened != nil {
		l.write(l.format.opened, l.records.At(number-1), e)
	}
}

// Unparsed writes the line of a request whose head is not known.
func (l *Log) Unparsed(client *handoff.Address, e End) {
	r := handoff.Request{Client: *client, Minor: unknownMinor}
	if number := l.Begin(&r); number != 0 {
		l.Answered(number)
		l.End(number, e)
	}
}

func (l *Log) write(parts []part, one *record, e End) {
	now := l.clock.Elapsed
	s := line{End: e, log: l, lasted: now - one.began, waited: one.first - one.began,
		port: one.port, minor: one.minor, answered: one.answered}
	s.began = l.clock.Wall() - s.lasted.Milliseconds()
	l.text = l.format.append(l.text[:0], parts, one.values, &s)
	l.writer.add(l.text, now)
}

// append appends a line.
func (f *format) append(to []byte, parts []part, values pool.Buffer, s *line) []byte {
	var known []byte
	if !values.None() {
		known = values.Bytes()
	}
	for i := range parts {
		p := &parts[i]
		to = append(to, p.literal...)
		switch {
		case p.field == nil:
		case p.field.value != nil:
			text, ok := valueAt(known, p.slot)
			to = f.appendText(to, text, ok, true)
		default:
			at := len(to)
			if f.quoted && p.field.text {
				to = append(to, '"')
			}
			before := len(to)
			to = p.field.number(to, s)
			switch {
			case len(to) == before:
				to = f.appendText(to[:at], nil, false, false)
			case before > at:
				to = append(to, '"')
			}
		}
	}
	return append(to, '\n')
}

// appendText appends a value; ok tells whether the request has it.
func (f *format) appendText(to, text []byte, ok, isText bool) []byte {
	switch {
	case f.quoted && !ok:
		return append(to, "null"...)
	case f.quoted && isText:
		return append(append(append(to, '"'), text...), '"')
	case len(text) == 0:
		return append(to, '-')
	}
	return append(to, text...)
}

// valueAt is a recorded value; ok is false if the request does not have it.
func valueAt(values []byte, slot int) (text []byte, ok bool) {
	for {
		n := int(values[0]) | int(values[1])<<8
		values = values[2:]
		size := n
		if n == missing {
			size = 0
		}
		if slot == 0 {
			return values[:size], n != missing
		}
		values, slot = values[size:], slot-1
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
	l.writer.close()
	l.records.Close()
	l.buffers.Close()
}

// field is field line i of the request.
func (r *request) field(i uint32) http1.Field {
	at := r.Fields + uintptr(i)*unsafe.Sizeof(http1.Field{})
	return *(*http1.Field)(*(*unsafe.Pointer)(unsafe.Pointer(&at)))
}

// Compile-time check that the length of a value fits its two octets.
const _ = uint(missing - 1 - limits.LogFileLineBytes)
