// Command parserbench measures how fast request heads are parsed, ours beside others, and prints a Markdown table.
//
// A module of its own: what it compares with must not become a dependency of saltare.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
)

// parser is one row.
type parser struct {
	name    string
	parse   func(in *source) error // takes the head out of in, as often as it is called
	command []string               // or another program that prints its speed
	speeds  []float64              // GB/s, a round each
	allocs  float64                // per head
}

// source gives the same head again and again. Everybody has to copy it out, as they would from a socket.
type source struct {
	head    []byte
	reader  *bytes.Reader
	buffer  *bufio.Reader
	scratch []byte
}

func newSource(head []byte) *source {
	reader := bytes.NewReader(head)
	return &source{head: head, reader: reader, buffer: bufio.NewReaderSize(reader, limits.MaxHeadBytes), scratch: make([]byte, limits.MaxHeadBytes)}
}

// buffered is the head behind a bufio.Reader, for those that ask for one.
func (s *source) buffered() *bufio.Reader {
	s.reader.Reset(s.head)
	s.buffer.Reset(s.reader)
	return s.buffer
}

// raw is the head as one read(2) leaves it.
func (s *source) raw() []byte {
	return s.scratch[:copy(s.scratch, s.head)]
}

func parsers() []*parser {
	ours := http1.Head{Fields: make([]http1.Field, 0, limits.MaxFields)}
	var theirs fasthttp.RequestHeader
	return []*parser{
		{name: "saltare `http1.ParseHead`", parse: func(in *source) error {
			if n, refusal := http1.ParseHead(&ours, in.raw(), 0); refusal != nil {
				return refusal
			} else if n != len(in.head) {
				return fmt.Errorf("%d of %d octets", n, len(in.head))
			}
			return nil
		}},
		{name: "fasthttp `RequestHeader.Read`", parse: func(in *source) error {
			return theirs.Read(in.buffered())
		}},
		{name: "net/http `ReadRequest`", parse: func(in *source) error {
			_, err := http.ReadRequest(in.buffered())
			return err
		}},
	}
}

// round measures one parser once, in time of this process, which others on the machine disturb least.
func (p *parser) round(in *source, length time.Duration) error {
	if p.command != nil {
		return p.outside()
	}
	const batch = 1000
	heads, allocs, before := 0, mallocs(), cpuTime()
	took := time.Duration(0)
	for ; took < length; took = cpuTime() - before {
		for range batch {
			if err := p.parse(in); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		heads += batch
	}
	p.speeds = append(p.speeds, float64(len(in.head)*heads)/float64(took))
	p.allocs = float64(mallocs()-allocs) / float64(heads)
	return nil
}

// cpuTime is what this process has used so far, its garbage collector included.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func mallocs() uint64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.Mallocs
}

// llhttp is the row of a parser in C; nil when the interpreter has no httptools, or is none.
func llhttp(python, file string) *parser {
	script := exec.Command(python, "llhttp.py", file)
	if script.Run() != nil {
		return nil
	}
	return &parser{name: "llhttp, by httptools without callbacks", command: script.Args}
}

// outside is a round of a parser that another program measures.
func (p *parser) outside() error {
	out, err := exec.Command(p.command[0], p.command[1:]...).Output()
	if err != nil {
		return err
	}
	var speed float64
	_, err = fmt.Sscan(string(out), &speed)
	p.speeds = append(p.speeds, speed)
	return err
}

func (p *parser) median() float64 {
	sorted := slices.Sorted(slices.Values(p.speeds))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (p *parser) row(base float64, size int) string {
	m := p.median()
	return fmt.Sprintf("| %s | %.2f (%.2f to %.2f) | %.0f | %s | %.1f |", p.name, m, slices.Min(p.speeds), slices.Max(p.speeds),
		float64(size)/m, p.allocations(), base/m)
}

func (p *parser) allocations() string {
	if p.parse == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", p.allocs)
}

func main() {
	file := flag.String("head", "../../tests/corpus/200-get-browser.http", "file with one request head")
	rounds := flag.Int("rounds", 5, "how often each is measured, in turns")
	length := flag.Duration("time", time.Second, "of CPU a measure takes")
	to := flag.String("to", "", "file for the table, instead of the standard output")
	python := flag.String("python", "python3", "interpreter that may have httptools")
	flag.Parse()
	runtime.GOMAXPROCS(1) // so that the garbage collector takes its turns too
	text, err := run(*file, *rounds, *length, *python)
	if err == nil && *to != "" {
		err = os.WriteFile(*to, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(text)
}

func run(file string, rounds int, length time.Duration, python string) (string, error) {
	head, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	rows := parsers()
	if other := llhttp(python, file); other != nil {
		rows = append(rows, other)
	}
	in := newSource(head)
	for range rounds {
		for _, p := range rows {
			if err := p.round(in, length); err != nil {
				return "", err
			}
		}
	}
	return page(rows, head, rounds), nil
}

func page(rows []*parser, head []byte, rounds int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Parsing a request head\n\n")
	fmt.Fprintf(&s, "A browser's head of %d octets and %d fields (`tests/corpus/200-get-browser.http`), on one core, by CPU time; medians of %d rounds\n"+
		"in turns (lowest to highest), %s.\n\n", len(head), bytes.Count(head, []byte("\r\n"))-2, rounds, runtime.Version())
	fmt.Fprintf(&s, "| parser | GB/s | ns per head | allocations | saltare is so many times as fast |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, p := range rows {
		fmt.Fprintln(&s, p.row(rows[0].median(), len(head)))
	}
	return s.String()
}
