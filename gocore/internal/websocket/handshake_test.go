// Handshakes: which are accepted, and which are refused with which status.

package websocket

import (
	library "crypto/sha1"
	"fmt"
	"strings"
	"testing"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/message"
)

const (
	keyLine     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	versionLine = "Sec-WebSocket-Version: 13\r\n"
)

func shake(t *testing.T, lines string) (hs Handshake, buf []byte, refusal *message.Refusal) {
	t.Helper()
	buf = []byte("GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + lines + "\r\n")
	head := http1.Head{Limits: http1.DefaultLimits, Fields: make([]http1.Field, 0, limits.DefaultFields)}
	if n, refused := http1.ParseHead(&head, buf, 0); n != len(buf) || refused != nil || !head.UpgradeWebSocket {
		t.Fatal(n, refused)
	}
	return hs, buf, hs.Shake(&head, buf, nil, false)
}

func TestTheExampleOfTheRFC(t *testing.T) {
	hs, _, refusal := shake(t, keyLine+versionLine)
	if refusal != nil || string(hs.Accept[:]) != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%s, %v", hs.Accept, refusal)
	}
}

func TestRefusedHandshakes(t *testing.T) {
	for lines, want := range map[string]*message.Refusal{
		versionLine:                                noKey,
		keyLine + keyLine + versionLine:            twoKeys,
		"Sec-WebSocket-Key: abc\r\n" + versionLine: badKey,
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n" + versionLine: badKey,
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" + versionLine: badKey,
		keyLine:                                  otherThan,
		keyLine + "Sec-WebSocket-Version: 8\r\n": otherThan,
		keyLine + versionLine + "Sec-WebSocket-Protocol: a b\r\n":                                                   badSubprotocol,
		keyLine + versionLine + "Sec-WebSocket-Protocol: " + strings.Repeat("a,", limits.MaxSubprotocols) + "b\r\n": ManySubprotocols,
	} {
		if _, _, got := shake(t, lines); got != want {
			t.Errorf("%q: %v, not %v", lines, got, want)
		}
	}
}

func TestSubprotocols(t *testing.T) {
	hs, buf, _ := shake(t, keyLine+versionLine+"Sec-WebSocket-Protocol: chat ,, \t v2.super\r\nSec-WebSocket-Protocol: third\r\n")
	var names []string
	for _, span := range hs.Subprotocols {
		names = append(names, string(span.In(buf)))
	}
	if got := fmt.Sprintf("%q", names); got != `["chat" "v2.super" "third"]` {
		t.Error(got)
	}
}

func TestOffersOfDeflate(t *testing.T) {
	agreed := "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for offers, want := range map[string]string{
		"permessage-deflate":                                                 agreed,
		"permessage-deflate; client_max_window_bits":                         agreed,
		"permessage-deflate; client_max_window_bits=9":                       agreed,
		"permessage-deflate ; server_max_window_bits = 10":                   agreed + "; server_max_window_bits=10",
		`permessage-deflate; server_max_window_bits="8"`:                     agreed + "; server_max_window_bits=8",
		"permessage-deflate; server_max_window_bits=15":                      agreed,
		"x-other, permessage-deflate; server_no_context_takeover":            agreed,
		"permessage-deflate; unknown, permessage-deflate":                    agreed,
		"permessage-deflate; server_max_window_bits":                         "",
		"permessage-deflate; server_max_window_bits=7":                       "",
		"permessage-deflate; server_max_window_bits=16":                      "",
		"permessage-deflate; server_max_window_bits=09":                      "",
		"permessage-deflate; server_no_context_takeover=1":                   "",
		"permessage-deflate; client_max_window_bits; client_max_window_bits": "",
		"permessage-deflate; client_max_window_bits=x":                       "",
		"x-webkit-deflate-frame":                                             "",
		"":                                                                   "",
	} {
		var d Deflate
		d.readOffers([]byte(offers), false)
		if got := strings.TrimSuffix(string(d.appendField(nil)), "\r\n"); got != want {
			t.Errorf("%q: %q", offers, got)
		}
	}
}

func TestOffersWithContext(t *testing.T) {
	const agreed, none = "sec-websocket-extensions: permessage-deflate", "; client_no_context_takeover"
	for offers, want := range map[string]string{
		"permessage-deflate":                                                     agreed + none + "; server_max_window_bits=12",
		"permessage-deflate; client_max_window_bits":                             agreed + "; client_max_window_bits=12; server_max_window_bits=12",
		"permessage-deflate; client_max_window_bits=9":                           agreed + "; client_max_window_bits=9; server_max_window_bits=12",
		"permessage-deflate; server_max_window_bits=10":                          agreed + none + "; server_max_window_bits=10",
		"permessage-deflate; client_max_window_bits; client_no_context_takeover": agreed + none + "; server_max_window_bits=12",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover": agreed + "; server_no_context_takeover; client_max_window_bits=12",
		"permessage-deflate; server_no_context_takeover":                         agreed + "; server_no_context_takeover" + none,
	} {
		var d Deflate
		d.readOffers([]byte(offers), true)
		if got := strings.TrimSuffix(string(d.appendField(nil)), "\r\n"); got != want {
			t.Errorf("%q: %q", offers, got)
		}
	}
}

func TestSHA1(t *testing.T) {
	for size := 56; size < 120; size++ {
		message := []byte(strings.Repeat("saltare", 18)[:size])
		if got, want := sha1(message), library.Sum(message); got != want {
			t.Errorf("%d octets: %x, not %x", size, got, want)
		}
	}
}
