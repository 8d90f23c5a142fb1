package accesslog

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/transport"
)

// hang ends a test that would wait for ever.
const hang = 20 * time.Second

// eventually waits for a state that another goroutine brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// written is what a log of that format writes about a request, with these ends.
func written(t *testing.T, format string, r *handoff.Request, websocket bool, ends ...End) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l := logTo(t, path, format)
	number := l.Begin(r, websocket)
	l.clock.Set(time.Unix(1, 0).Add(1500 * time.Microsecond))
	l.Answered(number)
	l.clock.Set(time.Unix(1, 0).Add(123456 * time.Microsecond))
	for _, e := range ends {
		if e.Outcome == Opened {
			l.Opens(number, e)
		} else {
			l.End(number, e)
		}
	}
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFormats(t *testing.T) {
	r := described(t, browser)
	e := End{Status: 404, In: 3, Out: 13}
	agent := "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	for format, want := range map[string]string{
		"combined": `192.0.2.7 - - [01/Jan/1970:00:00:01 +0000] "GET /items/42?page=3 HTTP/1.1" 404 13 "https://example.org/items" "` + agent + `"`,
		"uvicorn":  `INFO:     192.0.2.7:4711 - "GET /items/42?page=3 HTTP/1.1" 404 Not Found`,
		"{client} {client_port} {{{path_only}}} {query} {header:Accept} {header:x-none} {bytes_in}": "192.0.2.7 4711 {/items/42} page=3 */* - 3",
		"{first_byte_us} {duration_us} {latency_us} {duration_ms} {duration_s}":                     "1500 123456 123456 123.456 0.123456",
		"{time} {timestamp} {outcome} {ws_code} {worker} {reason}":                                  "1970-01-01T00:00:01.000Z 1.000 complete - 0 Not Found",
		`{{"path":"{path}"}}`: `{"path":"/items/42?page=3"}`,
		"no field":            "no field",
		"json:header:x-none,status,header:accept,ws_code,bytes": `{"x-none":null,"status":404,"accept":"*/*","bytes":13}`,
		"json:ws_code,client": `{"ws_code":null,"client":"192.0.2.7"}`,
	} {
		if got := written(t, format, r, false, e); got != want+"\n" {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestTheFormatNamedJSON(t *testing.T) {
	var got map[string]any
	line := written(t, "json", described(t, browser), false, End{Status: 200, In: 3, Out: 13})
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	want := map[string]any{"time": "1970-01-01T00:00:01.000Z", "client": "192.0.2.7", "method": "GET", "path": "/items/42?page=3", "protocol": "HTTP/1.1",
		"status": 200.0, "bytes_in": 3.0, "bytes": 13.0, "latency_us": 123456.0, "outcome": "complete", "referer": "https://example.org/items",
		"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
}

func TestWebsockets(t *testing.T) {
	r := described(t, "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
	opened, closed := End{Status: 101, Outcome: Opened}, End{Status: 101, Outcome: Closed, Code: 1001, In: 5, Out: 6}
	for format, want := range map[string]string{
		"uvicorn":                    "INFO:     192.0.2.7:4711 - \"WebSocket /ws\" [accepted]\nINFO:     192.0.2.7:4711 - \"WebSocket /ws\" [closed 1001]\n",
		"combined":                   "192.0.2.7 - - [01/Jan/1970:00:00:01 +0000] \"GET /ws HTTP/1.1\" 101 6 \"-\" \"-\"\n",
		"{path} {outcome} {ws_code}": "/ws open -\n/ws closed 1001\n",
	} {
		if got := written(t, format, r, true, opened, closed); got != want {
			t.Errorf("%s: %s", format, got)
		}
	}
	if got := written(t, "uvicorn", r, true, End{Status: 403, Outcome: Refused}); got != "INFO:     192.0.2.7:4711 - \"WebSocket /ws\" 403\n" {
		t.Errorf("refused: %s", got)
	}
}

func TestARequestWhoseHeadIsNotKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := logTo(t, path, `{client} "{method} {path} {protocol}" {status} {outcome} {user_agent}`)
	l.Unparsed(&handoff.Address{}, End{Status: 400, Outcome: Refused})
	l.Close()
	if text, _ := os.ReadFile(path); string(text) != "unix \"- - -\" 400 refused -\n" {
		t.Errorf("%s", text)
	}
}

func TestFormatsThatAreRefused(t *testing.T) {
	for _, format := range []string{"{", "}", "{client", "client}", "{}", "{nothing}", "json:", "json:client,", "json:nothing", "{header:}", "{header:a b}",
		strings.Repeat("x", limits.LogPipeBytes), strings.Repeat("{path}", limits.LogPipeBytes/3)} {
		if _, err := New(Config{Format: format}, nil); err != ErrFormat {
			t.Errorf("%.20s: %v", format, err)
		}
	}
}

func TestNoLineIsLongerThanItsFileTakesWhole(t *testing.T) {
	long := strings.Repeat("\x80\"", 20<<10)
	r := described(t, "GET /"+strings.Repeat("p", 9000)+" HTTP/1.1\r\nHost: x\r\nUser-Agent: "+long[:9000]+"\r\nReferer: "+long[:9000]+"\r\n\r\n")
	for _, format := range []string{"json", "combined", "uvicorn", "{path}{path}{header:host}" + strings.Repeat("x", 3000)} {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		l := logTo(t, fmt.Sprintf("/proc/self/fd/%d", pipe[1]), format)
		l.End(l.Begin(r, false), End{Status: 200})
		l.BeforeWait()
		buf := make([]byte, 1<<16)
		n, err := unix.Read(pipe[0], buf)
		if err != nil || n > limits.LogPipeBytes || n < limits.LogPipeBytes/3 && format != "uvicorn" || buf[n-1] != '\n' {
			t.Errorf("%.10s: %d bytes, %v", format, n, err)
		}
		_, _ = unix.Close(pipe[0]), unix.Close(pipe[1])
	}
}

func TestPathsThatAreLeftOut(t *testing.T) {
	l, err := New(Config{Format: "json", Exclude: []byte("/health\r\n/static/*\r\n")}, new(transport.Clock))
	if err != nil {
		t.Fatal(err)
	}
	for path, out := range map[string]bool{"/health": true, "/healthy": false, "/static/a": true, "/static": false, "/": false} {
		l.request.Request = described(t, "GET "+path+"?q HTTP/1.1\r\nHost: x\r\n\r\n")
		if l.excludes() != out {
			t.Errorf("%s: %v", path, !out)
		}
	}
	l.Close()
}

func TestAFullDiskLosesLinesAndTellsWhy(t *testing.T) {
	l, r := logTo(t, "/dev/full", "combined"), described(t, browser)
	for range 5 {
		l.End(l.Begin(r, false), End{Status: 200})
	}
	l.BeforeWait()
	eventually(t, "five lines are lost", func() bool {
		n, errno := l.Lost()
		return n == 5 && unix.Errno(errno) == unix.ENOSPC
	})
}

func TestAPipeThatNobodyReadsLosesLinesAndHoldsNothing(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	l, r := logTo(t, fmt.Sprintf("/proc/self/fd/%d", pipe[1]), "json"), described(t, browser)
	lines := 0
	for lost := uint64(0); lost == 0; lost, _ = l.Lost() {
		l.End(l.Begin(r, false), End{Status: 200})
		l.BeforeWait()
		lines++
	}
	l.writer.handOver(0)
	_ = unix.Close(pipe[1]) // the log has its own
	read, buf, lost := 0, make([]byte, 1<<16), uint64(0)
	for {
		n, err := unix.Read(pipe[0], buf)
		if err != nil {
			t.Fatal(err)
		}
		read += strings.Count(string(buf[:n]), "\n")
		if lost, _ = l.Lost(); read+int(lost) == lines {
			break
		}
	}
	if lost == 0 {
		t.Errorf("%d lines lost of %d", lost, lines)
	}
	_ = unix.Close(pipe[0])
}

func TestALineThatWasCutOffIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	old := unix.Rlimit{}
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 12, Max: old.Max}, nil); err != nil {
		t.Skip(err)
	}
	left, errno := f.write([]byte("complete\ncut off\nmissing\n"))
	_ = unix.Prlimit(0, unix.RLIMIT_FSIZE, &old, nil)
	if errno != unix.EFBIG || string(left) != " off\nmissing\n" {
		t.Errorf("%q is left: %v", left, errno)
	}
	if left, errno = f.write([]byte("next\n")); len(left) > 0 || errno != 0 {
		t.Errorf("%q is left: %v", left, errno)
	}
	f.close()
	if text, _ := os.ReadFile(path); string(text) != "complete\ncut\nnext\n" {
		t.Errorf("%q", text)
	}
}

func TestAFileThatWasRenamedIsReplaced(t *testing.T) {
	folder := t.TempDir()
	path, old := filepath.Join(folder, "log"), filepath.Join(folder, "old")
	l, r := logTo(t, path, "{path_only}"), described(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	lines, files := 0, 0
	for range 20 {
		for range 100 {
			l.End(l.Begin(r, false), End{Status: 200})
			l.BeforeWait()
			lines++
		}
		if err := os.Rename(path, fmt.Sprint(old, files)); err != nil {
			t.Fatal(err)
		}
		files++
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	names, _ := filepath.Glob(folder + "/*")
	found := 0
	for _, name := range names {
		text, _ := os.ReadFile(name)
		found += strings.Count(string(text), "/\n")
		if !regexp.MustCompile(`^(/\n)*$`).Match(text) {
			t.Errorf("%s: %q", name, text)
		}
	}
	if found != lines || len(names) != files+1 {
		t.Errorf("%d lines of %d in %d files", found, lines, len(names))
	}
}

func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(folder, "log")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	l, r := logTo(t, path, "{path_only}"), described(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := os.Rename(folder, folder+"2"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != unix.ENOENT {
		t.Errorf("%v", err)
	}
	l.End(l.Begin(r, false), End{Status: 200})
	l.Close()
	if text, _ := os.ReadFile(filepath.Join(folder+"2", "log")); string(text) != "/\n" {
		t.Errorf("%q", text)
	}
}

func TestAFIFOWithoutAReaderIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFile(path); err != unix.ENXIO {
		t.Errorf("%v", err)
	}
}

func TestALineCostsNoMemory(t *testing.T) {
	l, r := logTo(t, "/dev/null", "json"), described(t, browser)
	if n := testing.AllocsPerRun(1000, func() {
		number := l.Begin(r, false)
		l.Answered(number)
		l.End(number, End{Status: 200})
		l.BeforeWait()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.records.Live()+l.buffers.Live() != 0 {
		t.Error("a record is left")
	}
}
