// How a response is framed and which of its fields the server sets, independent of the HTTP version.

package message

import (
	"encoding/binary"
	"slices"
	"testing"
)

func encode(name, value string) (b []byte) {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(append(b, name...), value...)
}

// Every final status has a row, and what the row says about content-length holds for the output.
func TestEveryStatusIsFramed(t *testing.T) {
	for status := uint16(100); status < 1000; status++ {
		for how := range 8 {
			declared := int64(-1)
			if how&4 != 0 {
				declared = 5
			}
			r := Response{Status: status, Minor: uint8(how & 1), HEAD: how&2 != 0, ContentLength: declared}
			r.Frame()
			switch {
			case r.Mode == BodyLength && (r.ContentLength != 5 || declared != 5):
				t.Errorf("%d, %b: a body of a length that nobody declared", status, how)
			case (r.Mode == BodyChunked || r.Mode == BodyUntilClose) && r.ContentLength >= 0:
				t.Errorf("%d, %b: a length for a body that has another end", status, how)
			case r.Mode == BodyUntilClose && !r.Close:
				t.Errorf("%d, %b: the body never ends", status, how)
			case r.Mode == BodyChunked && r.Minor == 0:
				t.Errorf("%d, %b: chunks for a reader of HTTP/1.0", status, how)
			case (r.HEAD || status < 200 || status == 204 || status == 304) && r.Mode != BodyNone:
				t.Errorf("%d, %b: a body where there must be none", status, how)
			}
		}
	}
}

func TestWhichFieldsAreTheApps(t *testing.T) {
	for _, c := range []struct {
		status      uint16
		name, value string
		keep        bool
		after       func(j *Judge) bool
	}{
		{200, "x-a", "b", true, nil},
		{200, "Content-Length", " 7 ", false, func(j *Judge) bool { return j.ContentLength == 7 }},
		{200, "Transfer-Encoding", "chunked", false, nil},
		{200, "connection", "close", false, func(j *Judge) bool { return j.Close }},
		{200, "connection", "keep-alive", false, func(j *Judge) bool { return !j.Close }},
		{200, "connection", "keep-alive, upgrade", true, nil},
		{200, "Date", "today", true, func(j *Judge) bool { return j.HasDate && !j.HasServer }},
		{200, "server", "x", true, func(j *Judge) bool { return j.HasServer && !j.HasDate }},
		{200, "upgrade", "x", true, nil},
		{200, "Content-Type", "Text/Event-Stream; charset=utf-8", true, func(j *Judge) bool { return j.Events }},
		{200, "content-type", "text/event-strea", true, func(j *Judge) bool { return !j.Events }},
		{200, "x-same-lengt", "text/event-stream", true, func(j *Judge) bool { return !j.Events }},
		{Switching, "upgrade", "x", false, nil},
		{Switching, "connection", "upgrade", false, nil},
	} {
		j := Judge{Response: Response{Status: c.status, ContentLength: -1}}
		if keep, err := j.Take([]byte(c.name), []byte(c.value)); err != nil || keep != c.keep {
			t.Errorf("%s: %s: kept %v, %v", c.name, c.value, keep, err)
		}
		if c.after != nil && !c.after(&j) {
			t.Errorf("%s: %s is not taken in: %+v", c.name, c.value, j)
		}
	}
}

func TestFieldsThatMayStandInNoMessage(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        error
	}{{"a b", "c", ErrName}, {"", "c", ErrName}, {"a", "b\r\nc: d", ErrValue}, {"content-length", "x", ErrContentLength}} {
		j := Judge{Response: Response{Status: 200, ContentLength: -1}}
		if _, err := j.Take([]byte(c.name), []byte(c.value)); err != c.want {
			t.Errorf("%q: %q: %v, not %v", c.name, c.value, err, c.want)
		}
	}
	j := Judge{Response: Response{Status: 200, ContentLength: 3}}
	if _, err := j.Take([]byte("content-length"), []byte("3")); err != ErrContentLengths {
		t.Errorf("a second length: %v", err)
	}
}

func TestFieldsAsTheBridgeEncodesThem(t *testing.T) {
	whole := encode("name", "value")
	name, value, rest, ok := CutField(append(slices.Clone(whole), "rest"...))
	if !ok || string(name) != "name" || string(value) != "value" || string(rest) != "rest" {
		t.Errorf("%q %q %q, %v", name, value, rest, ok)
	}
	for n := range whole {
		if _, _, _, ok := CutField(whole[:n]); ok {
			t.Errorf("%d of %d octets are a field", n, len(whole))
		}
	}
}

func TestWhichFieldsAreTrailers(t *testing.T) {
	for name, want := range map[string]bool{"Content-Length": false, "Set-Cookie": false, "x-checksum": true, "server-timing": true} {
		if IsTrailer([]byte(name)) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
