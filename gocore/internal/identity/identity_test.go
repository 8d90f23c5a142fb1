package identity

import (
	"bytes"
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
)

func TestIDsAreDifferent(t *testing.T) {
	var s Source
	seen := map[string]bool{}
	for range 1000 {
		id := s.AppendID(nil)
		if len(id) != 32 || !isHex(id) || !IsID(id) || seen[string(id)] {
			t.Fatalf("%q", id)
		}
		seen[string(id)] = true
	}
}

func TestIDsOfProxies(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                     false,
		"7":                                    true,
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6": true,
		"Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1": true,
		"105445aa7843bc8bf206b12000100000/1;o=1":                                     true,
		"a b":                                                                        false,
		"a\"b":                                                                       false,
		"a\\b":                                                                       false,
		"<b>":                                                                        false,
		"a,b":                                                                        false,
		"é":                                                                          false,
		strings.Repeat("x", limits.RequestIDBytes):   true,
		strings.Repeat("x", limits.RequestIDBytes+1): false,
	} {
		if got := IsID([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceparent(t *testing.T) {
	for text, want := range map[string]string{
		sent:                                   sent,
		sent[:len(sent)-2] + "00":              sent[:len(sent)-2] + "00",
		"cc" + sent[2:]:                        sent,
		"01" + sent[2:] + "-what-comes-later":  sent,
		"01" + sent[2:] + ".":                  "",
		sent + "-more":                         "",
		sent + " ":                             "",
		"ff" + sent[2:]:                        "",
		strings.ToUpper(sent):                  "",
		strings.Replace(sent, "-b7", "_b7", 1): "",
		sent[:len(sent)-1]:                     "",
		"":                                     "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-g1": "",
		"0x" + sent[2:]: "",
	} {
		if got := string(AppendTraceparent(nil, []byte(text))); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestANewTrace(t *testing.T) {
	var s Source
	one, other := s.AppendNewTrace(nil), s.AppendNewTrace(nil)
	if got := AppendTraceparent(nil, one); !bytes.Equal(got, one) || bytes.Equal(TraceID(one), TraceID(other)) {
		t.Errorf("%q %q", one, other)
	}
	if id := TraceID([]byte(sent)); string(id) != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%q", id)
	}
}

func TestNamesAreMadeWithoutGarbage(t *testing.T) {
	var s Source
	to := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(1000, func() { s.AppendNewTrace(s.AppendID(to)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
