package accesslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapes(t *testing.T) {
	for _, c := range []struct{ value, text, json string }{
		{"", "", ""},
		{"plain text, 12345678", "plain text, 12345678", "plain text, 12345678"},
		{`a"b\c`, `a\x22b\x5cc`, `a\"b\\c`},
		{"line\r\nbreak\ttab\x00\x1b[31m\x7f", `line\x0d\x0abreak\x09tab\x00\x1b[31m\x7f`, `line\u000d\u000abreak\u0009tab\u0000\u001b[31m\u007f`},
		{"gr\u00fc\u00df", `gr\xc3\xbc\xc3\x9f`, `gr\u00fc\u00df`},
		{"\u2028\u0085", `\xe2\x80\xa8\xc2\x85`, `\u2028\u0085`},
		{"\U0001f600", `\xf0\x9f\x98\x80`, `\ud83d\ude00`},
		{"cut \xf0\x9f", `cut \xf0\x9f`, `cut \ufffd\ufffd`},
	} {
		if got := escapeText(nil, []byte(c.value), 1000); string(got) != c.text {
			t.Errorf("text of %q: %s", c.value, got)
		}
		if got := escapeJSON(nil, []byte(c.value), 1000); string(got) != c.json {
			t.Errorf("JSON of %q: %s", c.value, got)
		}
	}
}

func TestAValueThatIsTooLongIsCut(t *testing.T) {
	for _, c := range []struct {
		value string
		most  int
		want  string
	}{
		{"0123456789", 10, "0123456789"},
		{"0123456789x", 10, "0123456..."},
		{"01234\x01", 10, `01234\x01`[:9]},
		{"0123456\x01", 10, "0123456..."},
		{"\x01\x02\x03\x04", 10, `\x01...`},
		{"\x01\x02", 8, `\x01\x02`},
		{"\x01\x02\x03", 8, `\x01...`},
		{"a", 3, "a"},
		{"abcd", 3, "..."},
	} {
		if got := escapeText(nil, []byte(c.value), c.most); string(got) != c.want {
			t.Errorf("%q in %d: %s", c.value, c.most, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte(`GET /"\`+"\r\n\x00\xff\xed\xa0\x80"), 40)
	f.Add([]byte(`\000""`), 8)
	f.Fuzz(func(t *testing.T, value []byte, most int) {
		if most < len(cutMark) || most > 1<<16 {
			t.Skip()
		}
		text := escapeText([]byte("before"), value, most)[len("before"):]
		if len(text) > most || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' }) {
			t.Errorf("text of %q in %d: %q", value, most, text)
		}
		inside := escapeJSON([]byte("before"), value, most)[len("before"):]
		if len(inside) > most || !utf8.Valid(inside) {
			t.Errorf("JSON of %q in %d: %q", value, most, inside)
		}
		var back string
		if err := json.Unmarshal([]byte(`"`+string(inside)+`"`), &back); err != nil {
			t.Fatalf("JSON of %q in %d: %q: %v", value, most, inside, err)
		}
		if want := strings.ToValidUTF8(string(value), "\ufffd"); len(inside) < most-len(`\ud83d\ude00`) && utf8.Valid(value) && back != want {
			t.Errorf("JSON of %q is %q", value, back)
		}
	})
}
