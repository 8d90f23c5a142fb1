// Frames as peers send them: how they are read, wherever they are cut.

package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"saltare/gocore/internal/limits"
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a masked frame with its length in the shortest form.
func frame(first byte, payload string) []byte {
	b := appendHeader(nil, first, len(payload))
	b[1] |= maskBit
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func frames(all ...[]byte) []byte { return bytes.Join(all, nil) }

// said is what a peer sent, in words: the pieces of a message joined.
func said(d *Decoder, pieces ...[]byte) string {
	var words strings.Builder
	var message, held []byte
	for _, piece := range pieces {
		held = append(held, piece...)
		for {
			var p Piece
			n := d.Next(&p, held)
			held = held[n:]
			switch p.Kind {
			case Nothing:
				goto more
			case Failed:
				fmt.Fprintf(&words, "failed with %d: %s\n", p.Failure.Code, p.Failure.Reason)
				return words.String()
			case Data:
				message = append(message, p.Bytes...)
				if p.Last {
					fmt.Fprintf(&words, "text %v compressed %v total %d %q\n", p.Text, p.Compressed, p.Total, message)
					message = nil
				}
			case Close:
				fmt.Fprintf(&words, "close %d %q\n", p.Code, p.Bytes)
				return words.String()
			default:
				fmt.Fprintf(&words, "control %d %q\n", p.Kind, p.Bytes)
			}
		}
	more:
	}
	return words.String()
}

func decoder(maxBytes uint64) *Decoder { return &Decoder{MaxBytes: maxBytes} }

const (
	fin  = finBit
	text = byte(OpText)
	bin  = byte(OpBinary)
	ping = byte(OpPing)
)

var conversations = []struct {
	name string
	b    []byte
	want string
}{
	{"a text", frame(fin|text, "Hello"), `text true compressed false total 5 "Hello"`},
	{"an empty text", frame(fin|text, ""), `text true compressed false total 0 ""`},
	{"bytes", frame(fin|bin, "\x00\xff"), `text false compressed false total 2 "\x00\xff"`},
	{"126 bytes", frame(fin|bin, strings.Repeat("a", 126)), fmt.Sprintf("text false compressed false total 126 %q", strings.Repeat("a", 126))},
	{"70,000 bytes", frame(fin|bin, strings.Repeat("a", 70000)), fmt.Sprintf("text false compressed false total 70000 %q", strings.Repeat("a", 70000))},
	{"fragments", frames(frame(text, "Hel"), frame(0, ""), frame(fin, "lo")), `text true compressed false total 5 "Hello"`},
	{"a character in two fragments", frames(frame(text, "\xe2\x82"), frame(fin, "\xac")), `text true compressed false total 3 "€"`},
	{"a ping between fragments", frames(frame(text, "Hel"), frame(fin|ping, "?"), frame(fin, "lo")), "control 2 \"?\"\ntext true compressed false total 5 \"Hello\""},
	{"a pong", frame(fin|byte(OpPong), "x"), `control 3 "x"`},
	{"the longest ping", frame(fin|ping, strings.Repeat("p", 125)), fmt.Sprintf("control 2 %q", strings.Repeat("p", 125))},
	{"a close", frame(fin|byte(OpClose), "\x03\xe8bye"), `close 1000 "bye"`},
	{"a close without code", frame(fin|byte(OpClose), ""), `close 1005 ""`},
	{"what follows a close", frames(frame(fin|byte(OpClose), "\x0b\xb8"), frame(fin|text, "x")), `close 3000 ""`},
	{"half a code", frame(fin|byte(OpClose), "\x03"), "failed with 1002: half a close code"},
	{"a code that nobody says", frame(fin|byte(OpClose), "\x03\xee"), "failed with 1002: the close code is not for the wire"},
	{"a reason that is no text", frame(fin|byte(OpClose), "\x03\xe8\xff"), "failed with 1007: the close reason is not UTF-8"},
	{"a ping of 126", frame(fin|ping, strings.Repeat("p", 126)), "failed with 1002: the control frame has over 125 bytes"},
	{"half a ping", frame(ping, ""), "failed with 1002: the control frame is fragmented"},
	{"RSV1", frame(fin|text|rsv1Bit, "x"), "failed with 1002: a reserved bit is set"},
	{"RSV2", frame(fin|text|0x20, "x"), "failed with 1002: a reserved bit is set"},
	{"RSV3 of a ping", frame(fin|ping|0x10, "x"), "failed with 1002: a reserved bit is set"},
	{"opcode 3", frame(fin|3, "x"), "failed with 1002: the opcode is reserved"},
	{"opcode 11", frame(fin|11, "x"), "failed with 1002: the opcode is reserved"},
	{"no mask", AppendHeader(nil, OpText, 0), "failed with 1002: the frame is not masked"},
	{"a long form of 125", []byte{fin | bin, maskBit | 126, 0, 125, 0, 0, 0, 0}, "failed with 1002: the length is not in its shortest form"},
	{"a long form of 65535", []byte{fin | bin, maskBit | 127, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0}, "failed with 1002: the length is not in its shortest form"},
	{"64 bits of length", []byte{fin | bin, maskBit | 127, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "failed with 1002: the length has its highest bit set"},
	{"63 bits of length", []byte{fin | bin, maskBit | 127, 127, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, "failed with 1009: the message is over ws_max_size"},
	{"too much at once", frame(fin|bin, strings.Repeat("a", 100_001)), "failed with 1009: the message is over ws_max_size"},
	{"too much in fragments", frames(frame(bin, strings.Repeat("a", 60_000)), frame(fin, strings.Repeat("a", 60_000))), "failed with 1009: the message is over ws_max_size"},
	{"a continuation of nothing", frame(fin, "x"), "failed with 1002: a continuation of no message"},
	{"a message within a message", frames(frame(text, "x"), frame(fin|text, "y")), "failed with 1002: a new message within a fragmented one"},
	{"no UTF-8", frame(fin|text, "a\xff"), "failed with 1007: the text is not UTF-8"},
	{"half a character at the end", frame(fin|text, "a\xe2\x82"), "failed with 1007: the text is not UTF-8"},
}

func TestConversations(t *testing.T) {
	for _, c := range conversations {
		if got := strings.TrimSpace(said(decoder(100_000), bytes.Clone(c.b))); got != c.want {
			t.Errorf("%s: %.200s\nnot %.200s", c.name, got, c.want)
		}
	}
}

func TestConversationsInTwoPieces(t *testing.T) {
	for _, c := range conversations {
		for at := range len(c.b) {
			if at > 100 && at < len(c.b)-100 && at%997 != 0 {
				continue
			}
			if got := strings.TrimSpace(said(decoder(100_000), bytes.Clone(c.b[:at]), c.b[at:])); got != c.want {
				t.Fatalf("%s, cut at %d: %.200s\nnot %.200s", c.name, at, got, c.want)
			}
		}
	}
}

func TestConversationsOctetByOctet(t *testing.T) {
	for _, c := range conversations {
		var pieces [][]byte
		for i := range c.b[:min(len(c.b), 2000)] {
			pieces = append(pieces, c.b[i:i+1])
		}
		pieces = append(pieces, c.b[min(len(c.b), 2000):])
		if got := strings.TrimSpace(said(decoder(100_000), pieces...)); got != c.want {
			t.Errorf("%s: %.200s\nnot %.200s", c.name, got, c.want)
		}
	}
}

func TestADataFrameTellsWhatIsComing(t *testing.T) {
	var p Piece
	d := decoder(1000)
	b := frame(fin|bin, "0123456789")
	if n := d.Next(&p, b[:8]); n != 8 || !p.First || p.Last || p.Coming != 8 || string(p.Bytes) != "01" {
		t.Errorf("took %d: %+v", n, p)
	}
	if n := d.Next(&p, b[8:]); n != 8 || p.First || !p.Last || p.Coming != 0 || p.Total != 10 {
		t.Errorf("took %d: %+v", n, p)
	}
}

func TestAMistakeStaysOne(t *testing.T) {
	for _, b := range [][]byte{frame(fin|text, "a\xff"), frame(fin|byte(OpClose), "\x03\xe8\xff"), frame(fin|3, "")} {
		var p Piece
		d, original := decoder(1000), bytes.Clone(b)
		for range 2 {
			if n := d.Next(&p, b); n != 0 || p.Kind != Failed || *d != *decoder(1000) || !bytes.Equal(b, original) {
				t.Errorf("took %d: %+v, %+v", n, p, d)
			}
		}
	}
}

func TestUnmask(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for size := range 100 {
		for at := range 8 {
			b := make([]byte, at+size)
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			mask := random.Uint32()
			var octets [4]byte
			binary.LittleEndian.PutUint32(octets[:], mask)
			want := bytes.Clone(b)
			for i := range want[at:] {
				want[at+i] ^= octets[i%4]
			}
			cut := at + random.IntN(size+1)
			rest := unmask(b[at:cut], mask)
			unmask(b[cut:], rest)
			if !bytes.Equal(b, want) {
				t.Fatalf("%d octets at %d, cut at %d", size, at, cut-at)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	for n, want := range map[int]string{
		0: "82 00", 125: "82 7d", 126: "82 7e 00 7e", 65535: "82 7e ff ff", 65536: "82 7f 00 00 00 00 00 01 00 00",
	} {
		if got := fmt.Sprintf("% x", AppendHeader(nil, OpBinary, n)); got != want {
			t.Errorf("%d octets: %s, not %s", n, got, want)
		}
	}
}

func TestAReasonIsCutBetweenCharacters(t *testing.T) {
	b := AppendClose(nil, 1000, []byte(strings.Repeat("é", 62)))
	if want := "\x88\x7c\x03\xe8" + strings.Repeat("é", 61); string(b) != want {
		t.Errorf("%q", b)
	}
	if got := AppendClose(nil, NoCode, nil); string(got) != "\x88\x00" {
		t.Errorf("%q", got)
	}
}

func TestCodes(t *testing.T) {
	for code := range uint16(5100) {
		want := 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
		if codeOnWire(code) != want {
			t.Errorf("%d: %v", code, !want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	b := frames(frame(text, strings.Repeat("é", 500)), frame(fin|ping, "?"), frame(fin, "x"))
	scratch, dst := make([]byte, len(b)), make([]byte, 0, 1024)
	d := decoder(limits.DefaultMessageBytes)
	var p Piece
	allocations := testing.AllocsPerRun(100, func() {
		copy(scratch, b)
		for rest := scratch; len(rest) > 0; {
			rest = rest[d.Next(&p, rest):]
			if p.Kind == Failed {
				t.Fatal(p.Failure)
			}
		}
		AppendClose(AppendHeader(dst, OpText, 5), 1000, nil)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
