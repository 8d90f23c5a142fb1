// Forged and odd fields: what each means from a peer that is believed, and that it means nothing from any other.

package proxy

import (
	"fmt"
	"strings"
	"testing"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
)

// What a server believes unless it is told otherwise, and in these tests a network and a name as well.
const (
	believed = "127.0.0.1\r\n::1\r\nunix:\r\n10.0.0.0/8\r\n2001:db8:aa::/48\r\n_inner\r\n"
	usual    = "x-forwarded-for\r\nx-real-ip\r\nx-forwarded-proto\r\nx-forwarded-host\r\nx-forwarded-port\r\nforwarded\r\n"
	standard = "forwarded\r\n" // RFC 7239 alone
	every    = usual + "x-forwarded-prefix\r\n"
	first    = "forwarded\r\nx-real-ip\r\nx-forwarded-for\r\nx-forwarded-proto\r\n"
)

var peer = address("127.0.0.1:5")

func address(text string) (a handoff.Address) {
	if text == "unix" {
		return a
	}
	a, ok := parseNode([]byte(text))
	if !ok {
		panic(text)
	}
	return a
}

func rules(fields string) *Rules {
	return &Rules{On: true, From: ParseList([]byte(believed)), Fields: ParseFields([]byte(fields))}
}

// origin is what the fields mean that a peer sends, as text: only what differs from the connection.
func (r *Rules) origin(t testing.TB, from handoff.Address, lines ...string) string {
	buf := []byte("GET / HTTP/1.1\r\nhost: a\r\n" + strings.Join(append(lines, "", ""), "\r\n"))
	head := http1.Head{Limits: http1.Limits{HeadBytes: 1 << 20, LineBytes: 1 << 10, Fields: 4096}, Fields: make([]http1.Field, 0, 4096)}
	n, refusal := http1.ParseHead(&head, buf, 0)
	if refusal != nil || n != len(buf) {
		t.Fatalf("%q: %v", lines, refusal)
	}
	o := Origin{Client: from}
	if r.Apply(&from, head.Proxied) {
		r.Read(&o, buf, head.Fields)
	}
	var words []string
	if o.Client != from {
		words = append(words, shown(&o.Client))
	}
	if o.Scheme != 0 {
		words = append(words, [...]string{"", "http", "https"}[o.Scheme])
	}
	if o.Host.Len > 0 || o.Port > 0 {
		words = append(words, fmt.Sprintf("to %s:%d", o.Host.In(buf), o.Port))
	}
	if o.Prefix.Len > 0 {
		words = append(words, "under "+string(o.Prefix.In(buf)))
	}
	return strings.Join(words, " ")
}

func shown(a *handoff.Address) string {
	if a.Family == handoff.FamilyUnix {
		return "unix"
	}
	text := netipOf(a).String()
	if a.Port != 0 {
		text += fmt.Sprintf(" port %d", a.Port)
	}
	return text
}

var corpus = []struct {
	fields string // that are believed
	lines  []string
	want   string
}{
	// RFC 7239 4, 5, 6, 7
	{standard, []string{`Forwarded: for="_gazonk"`}, ""},
	{standard, []string{`Forwarded: For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17 port 4711"},
	{standard, []string{`Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43`}, "192.0.2.60 http"},
	{standard, []string{`Forwarded: for=192.0.2.43, for=198.51.100.17`}, "198.51.100.17"},
	{standard, []string{`Forwarded: for=_hidden, for=_SEVKISEK`}, ""},
	{standard, []string{`Forwarded: for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown`}, ""},
	{standard, []string{`Forwarded: for=192.0.2.43, for="[2001:db8:cafe::17]", for=unknown`}, ""},
	{standard, []string{`Forwarded: for=192.0.2.43`, `Forwarded: for="[2001:db8:cafe::17]"`}, "2001:db8:cafe::17"},
	{standard, []string{`Forwarded: for=192.0.2.43,  for=10.1.1.1;by=203.0.113.60;proto=http;host=example.com`}, "192.0.2.43"},
	{standard, []string{`Forwarded: proto=https`}, "https"},
	// RFC 7239: names, quotes, escapes, spaces
	{standard, []string{`Forwarded: FOR=192.0.2.1;PROTO=HTTPS;HOST=Example.com`}, "192.0.2.1 https to Example.com:443"},
	{standard, []string{`Forwarded: for="192.0.2.1:80"`}, "192.0.2.1 port 80"},
	{standard, []string{`Forwarded: for=192.0.2.1:80`}, "192.0.2.1 port 80"},
	{standard, []string{`Forwarded: for=[2001:db8::1]:80`}, "2001:db8::1 port 80"},
	{standard, []string{`Forwarded: for="\1\9\2.0.2.1"`}, "192.0.2.1"},
	{standard, []string{`Forwarded: for="a, for=6.6.6.6"`}, ""},
	{standard, []string{`Forwarded: for=6.6.6.6;x="a\", b"`, `Forwarded: for="10.0.0.1"`}, "6.6.6.6"},
	{standard, []string{`Forwarded: for=6.6.6.6, for="`}, ""},
	{standard, []string{`Forwarded: for=", for=192.0.2.1`}, ""},
	{standard, []string{`Forwarded: for="6.6.6.6\`}, ""},
	{standard, []string{`Forwarded: for=1.1.1.1"2`}, ""},
	{standard, []string{`Forwarded: for = 6.6.6.6`}, ""},
	{standard, []string{`Forwarded: for=192.0.2.1 ; proto=https , for=10.0.0.1`}, "192.0.2.1 https"},
	{standard, []string{`Forwarded: for=192.0.2.1;for=6.6.6.6`}, ""},
	{standard, []string{`Forwarded: for=192.0.2.1;;proto=https;`}, "192.0.2.1 https"},
	{standard, []string{`Forwarded: , ,for=192.0.2.1,, ,`}, "192.0.2.1"},
	{standard, []string{`Forwarded: `}, ""},
	{standard, []string{`Forwarded: for=`}, ""},
	{standard, []string{`Forwarded: for`}, ""},
	{standard, []string{`Forwarded: =192.0.2.1`}, ""},
	{standard, []string{`Forwarded: 192.0.2.1`}, ""},
	{standard, []string{`Forwarded: for="192.0.2.1:_secret"`}, "192.0.2.1"},
	{standard, []string{`Forwarded: for="192.0.2.1:65536"`}, ""},
	{standard, []string{"Forwarded: for=\"1\xe9\""}, ""},
	{standard, []string{"Forwarded: f\xfcr=192.0.2.1"}, ""},
	{standard, []string{`Forwarded: for=192.0.2.1;proto=gopher;host="a b"`}, "192.0.2.1"},
	{standard, []string{`Forwarded: for=192.0.2.1;host="[2001:db8::2]:8443";proto=wss`}, "192.0.2.1 https to 2001:db8::2:8443"},
	{standard, []string{`Forwarded: for=6.6.6.6;proto=https, for=192.0.2.1;proto=http, for=10.0.0.1`}, "192.0.2.1 http"},
	{standard, []string{`Forwarded: for=192.0.2.1;proto=https, for=_inner`}, "192.0.2.1 https"},
	{standard, []string{`Forwarded: for=6.6.6.6;proto=https, by=10.0.0.1`}, ""},
	{standard, []string{`Forwarded: for=junk;proto=https, for=10.0.0.1;proto=http`}, "10.0.0.1 http"},
	{standard, []string{`Forwarded: ` + strings.Repeat("for=6.6.6.6, ", 999) + `for=192.0.2.1`}, "192.0.2.1"},
	{standard, []string{`Forwarded: for=6.6.6.6, ` + strings.Repeat("for=10.0.0.1, ", 999) + `for=10.0.0.2`}, "10.0.0.1"},
	{standard, []string{`Forwarded: ` + strings.Repeat(`x="`, 1000)}, ""},
	// X-Forwarded-For
	{usual, []string{`X-Forwarded-For: 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 6.6.6.6, 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1,127.0.0.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 10.0.0.1, 10.0.0.2`}, "10.0.0.1"},
	{usual, []string{`X-Forwarded-For: 6.6.6.6`, `X-Forwarded-For: 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 192.0.2.1, unix:`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 192.0.2.1, unknown`}, ""},
	{usual, []string{`X-Forwarded-For: 6.6.6.6, junk, 10.0.0.1`}, "10.0.0.1"},
	{usual, []string{`X-Forwarded-For: 192.0.2.1:4711`}, "192.0.2.1 port 4711"},
	{usual, []string{`X-Forwarded-For: 192.0.2.1:`}, ""},
	{usual, []string{`X-Forwarded-For: 192.0.2.1:99999`}, ""},
	{usual, []string{`X-Forwarded-For: [2001:db8::1]:4711`}, "2001:db8::1 port 4711"},
	{usual, []string{`X-Forwarded-For: 2001:db8::1`}, "2001:db8::1"},
	{usual, []string{`X-Forwarded-For: 2001:DB8::1, 2001:db8:aa::5`}, "2001:db8::1"},
	{usual, []string{`X-Forwarded-For: ::ffff:192.0.2.1`}, "::ffff:192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: fe80::1%eth0`}, ""},
	{usual, []string{`X-Forwarded-For: [::1`}, ""},
	{usual, []string{`X-Forwarded-For: [192.0.2.1]`}, ""},
	{usual, []string{`X-Forwarded-For: [2001:db8::1]x`}, ""},
	{usual, []string{`X-Forwarded-For: 192.0.2.01`}, ""},
	{usual, []string{`X-Forwarded-For: 192.0.2.256`}, ""},
	{usual, []string{`X-Forwarded-For: 192.0.2`}, ""},
	{usual, []string{`X-Forwarded-For: 3221225985`}, ""},
	{usual, []string{`X-Forwarded-For: 192.0.2.1/32`}, ""},
	{usual, []string{`X-Forwarded-For: "192.0.2.1"`}, ""},
	{usual, []string{`X-Forwarded-For: example.com`}, ""},
	{usual, []string{"X-Forwarded-For: \xd9\xa1.2.3.4"}, ""},
	{usual, []string{"X-Forwarded-For: 192.0.2.1\t, \t10.0.0.1"}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: , 192.0.2.1,, ,`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: , ,`}, ""},
	{usual, []string{`X-Forwarded-For: ` + strings.Repeat("6.6.6.6, ", 999) + `192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: 6.6.6.6, ` + strings.Repeat("10.0.0.1, ", 999) + `10.0.0.2`}, "10.0.0.1"},
	{usual, []string{`X-Forwarded-For: ` + strings.Repeat(",", 60_000) + `192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Forwarded-For: ` + strings.Repeat("9", 60_000)}, ""},
	// X-Real-IP is one address, and the last line counts: a proxy that adds one puts it last
	{usual, []string{`X-Real-IP: 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`X-Real-IP: 6.6.6.6, 192.0.2.1`}, ""},
	{usual, []string{`X-Real-IP: 6.6.6.6`, `X-Real-IP: 192.0.2.1`}, "192.0.2.1"},
	// scheme
	{usual, []string{`X-Forwarded-Proto: https`}, "https"},
	{usual, []string{`X-Forwarded-Proto: HTTP`}, "http"},
	{usual, []string{`X-Forwarded-Proto: wss`}, "https"},
	{usual, []string{`X-Forwarded-Proto: ftp`}, ""},
	{usual, []string{`X-Forwarded-Proto: https, http`}, "http"},
	{usual, []string{`X-Forwarded-Proto: https, http`, `X-Forwarded-For: 192.0.2.1, 10.0.0.1`}, "192.0.2.1 https"},
	{usual, []string{`X-Forwarded-Proto: https`, `X-Forwarded-For: 192.0.2.1, 10.0.0.1`}, "192.0.2.1 https"},
	{usual, []string{`X-Forwarded-Proto: http, https`, `X-Forwarded-For: 6.6.6.6, 192.0.2.1`}, "192.0.2.1 https"},
	// server
	{usual, []string{`X-Forwarded-Host: example.com`}, "to example.com:80"},
	{usual, []string{`X-Forwarded-Host: example.com`, `X-Forwarded-Proto: https`}, "https to example.com:443"},
	{usual, []string{`X-Forwarded-Host: example.com:8080`}, "to example.com:8080"},
	{usual, []string{`X-Forwarded-Host: example.com:8080`, `X-Forwarded-Port: 9090`}, "to example.com:9090"},
	{usual, []string{`X-Forwarded-Host: [2001:db8::2]`}, "to 2001:db8::2:80"},
	{usual, []string{`X-Forwarded-Host: [::::]`}, ""},
	{usual, []string{`X-Forwarded-Host: 6.example, example.com`}, "to example.com:80"},
	{usual, []string{`X-Forwarded-Host: a/b`}, ""},
	{usual, []string{`X-Forwarded-Host: :80`}, ""},
	{usual, []string{`X-Forwarded-Host: user@example.com`}, ""},
	{usual, []string{`X-Forwarded-Port: 8443`}, "to :8443"},
	{usual, []string{`X-Forwarded-Port: 0`}, ""},
	{usual, []string{`X-Forwarded-Port: 70000`}, ""},
	{usual, []string{`X-Forwarded-Port: -1`}, ""},
	{usual, []string{`X-Forwarded-Port: 080443`}, ""},
	// root path
	{usual, []string{`X-Forwarded-Prefix: /api`}, ""},
	{every, []string{`X-Forwarded-Prefix: /api`}, "under /api"},
	{every, []string{`X-Forwarded-Prefix: /a/b//`}, "under /a/b"},
	{every, []string{`X-Forwarded-Prefix: /`}, ""},
	{every, []string{`X-Forwarded-Prefix: //evil.example`}, ""},
	{every, []string{`X-Forwarded-Prefix: api`}, ""},
	{every, []string{`X-Forwarded-Prefix: /a"b`}, ""},
	{every, []string{`X-Forwarded-Prefix: /a<b>`}, ""},
	{every, []string{`X-Forwarded-Prefix: /a'b`}, ""},
	{every, []string{`X-Forwarded-Prefix: /a?b`}, ""},
	{every, []string{`X-Forwarded-Prefix: /%2e`}, ""},
	// contradictions: the field that comes first in the list of those that are believed
	{usual, []string{`Forwarded: for=6.6.6.6`, `X-Forwarded-For: 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`Forwarded: for=6.6.6.6;proto=https;host=evil.example`, `X-Forwarded-For: 192.0.2.1`, `X-Forwarded-Proto: http`, `X-Forwarded-Host: a.example`},
		"192.0.2.1 http to a.example:80"},
	{usual, []string{`X-Real-IP: 6.6.6.6`, `X-Forwarded-For: 192.0.2.1`}, "192.0.2.1"},
	{usual, []string{`Forwarded: for=6.6.6.6`, `X-Forwarded-For: unknown`}, ""},
	{usual, []string{`Forwarded: for=192.0.2.1`, `X-Forwarded-For: `}, "192.0.2.1"},
	{first, []string{`Forwarded: for=192.0.2.1`, `X-Forwarded-For: 6.6.6.6`, `X-Real-IP: 7.7.7.7`}, "192.0.2.1"},
	{first, []string{`X-Forwarded-For: 6.6.6.6`, `X-Real-IP: 192.0.2.1`}, "192.0.2.1"},
	{first, []string{`Forwarded: for="`, `X-Forwarded-For: 6.6.6.6`}, ""},
	{first, []string{`Forwarded: proto=https`, `X-Forwarded-For: 192.0.2.1`}, "192.0.2.1 https"},
	{first, []string{`Forwarded: for=192.0.2.1`, `X-Forwarded-Proto: https`}, "192.0.2.1 https"},
	{standard, []string{`X-Forwarded-For: 6.6.6.6`, `X-Real-IP: 6.6.6.6`, `X-Forwarded-Proto: https`, `X-Forwarded-Host: a`, `X-Forwarded-Port: 5`}, ""},
	{"", []string{`Forwarded: for=6.6.6.6`, `X-Forwarded-For: 6.6.6.6`}, ""},
}

func TestCorpus(t *testing.T) {
	peers := []struct {
		peer     string
		believed bool
	}{
		{"127.0.0.1:5", true}, {"unix", true}, {"10.255.0.1:5", true}, {"[::1]:5", true}, {"[::ffff:127.0.0.1]:5", true}, {"[2001:db8:aa:ffff::1]:1", true},
		{"127.0.0.2:5", false}, {"11.0.0.1:5", false}, {"[2001:db8:ab::1]:1", false}, {"[::ffff:11.0.0.1]:1", false}, {"[a00::]:1", false},
	}
	if len(corpus) < 60 {
		t.Errorf("the corpus has %d rows", len(corpus))
	}
	for _, c := range corpus {
		r := rules(c.fields)
		for _, from := range peers {
			want := c.want
			if !from.believed {
				want = ""
			}
			if got := r.origin(t, address(from.peer), c.lines...); got != want {
				t.Errorf("from %s, %.200q: %q, not %q", from.peer, c.lines, got, want)
			}
		}
		r.On = false
		if got := r.origin(t, peer, c.lines...); got != "" {
			t.Errorf("off, %.200q: %q", c.lines, got)
		}
	}
}

// The order of lines matters only among lines of the same field.
func TestTheOrderOfDifferentFieldsDoesNotMatter(t *testing.T) {
	for _, c := range corpus {
		if len(c.lines) < 2 || strings.SplitN(c.lines[0], ":", 2)[0] == strings.SplitN(c.lines[1], ":", 2)[0] {
			continue
		}
		var reversed []string
		for _, line := range c.lines {
			reversed = append([]string{line}, reversed...)
		}
		if got := rules(c.fields).origin(t, peer, reversed...); got != c.want {
			t.Errorf("%q: %q, not %q", reversed, got, c.want)
		}
	}
}

func TestEverybodyIsBelieved(t *testing.T) {
	r := &Rules{On: true, From: ParseList([]byte("*\r\n")), Fields: ParseFields([]byte(usual))}
	for _, from := range []string{"1.2.3.4:5", "[2001:db8::9]:1", "unix"} {
		if got := r.origin(t, address(from), "X-Forwarded-For: 6.6.6.6, 192.0.2.1"); got != "6.6.6.6" {
			t.Errorf("from %s: %q", from, got)
		}
	}
}

func TestFieldsThatMeanHTTPS(t *testing.T) {
	r := rules(usual)
	r.Secure = ParseSecure([]byte("x-forwarded-ssl: on\r\nx-forwarded-protocol: ssl\r\n"))
	for line, want := range map[string]string{"X-Forwarded-SSL: on": "https", "x-forwarded-protocol: ssl": "https", "X-Forwarded-SSL: off": "", "X-Other: on": ""} {
		if got := r.origin(t, peer, line); got != want {
			t.Errorf("%q: %q", line, got)
		}
		if got := r.origin(t, address("1.2.3.4:5"), line); got != "" {
			t.Errorf("%q of another peer: %q", line, got)
		}
	}
	if got := r.origin(t, peer, "X-Forwarded-SSL: on", "X-Forwarded-Proto: http"); got != "https" {
		t.Errorf("%q", got)
	}
}

func TestNothingAllocates(t *testing.T) {
	for _, line := range []string{
		"forwarded: " + strings.Repeat(`for="\1\0.0.0.1";host=a, `, 100) + "for=10.0.0.1", "x-forwarded-for: " + strings.Repeat("10.0.0.1,", 100),
	} {
		r, buf := rules(every), []byte("GET / HTTP/1.0\r\n"+line+"\r\nx-forwarded-host: a:5\r\n\r\n")
		head := http1.Head{Limits: http1.DefaultLimits, Fields: make([]http1.Field, 0, 16)}
		if n, _ := http1.ParseHead(&head, buf, 0); n != len(buf) {
			t.Fatal(n)
		}
		o := Origin{}
		if n := testing.AllocsPerRun(100, func() {
			o = Origin{Client: peer}
			r.Read(&o, buf, head.Fields)
		}); n != 0 {
			t.Errorf("%.40q: %v allocations", line, n)
		}
	}
}
