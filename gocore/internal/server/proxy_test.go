// The PROXY protocol in front of HTTP, and what fields of proxies mean behind it.

package server_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/proxy"
	"saltare/gocore/internal/server"
)

const (
	proxied1 = "PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n"
	proxied2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\x12\x67\x01\xbb"
	local2   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// behindProxy is a server that accepts PROXY headers of the peers in from.
func behindProxy(from string) server.Config {
	return server.Config{Conn: config.Config{
		ProxyProtocol: proxy.Version1 | proxy.Version2, ProxyProtocolFrom: proxy.ParseList([]byte(from)), HeaderTimeout: config.Ticks(1000),
		Proxies: proxy.Rules{On: true, From: proxy.ParseList([]byte("127.0.0.1 192.0.2.0/24")), Fields: proxy.ParseFields([]byte("x-forwarded-for"))},
	}}
}

func shown(a handoff.Address) string {
	return fmt.Sprintf("%s:%d", net.IP(a.IP[:4]), a.Port)
}

func TestProxyHeaderSplitAtEveryOctet(t *testing.T) {
	d := open(t, behindProxy("127.0.0.1"))
	const get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
	for _, header := range []string{proxied1, proxied2} {
		for at := 0; at <= len(header+get); at++ {
			peer := d.client()
			d.write(peer, (header + get)[:at])
			d.turn(0)
			d.write(peer, (header + get)[at:])
			e := d.expect(handoff.EventRequest)
			if client, local := shown(e.request.Client), shown(e.request.Local); client != "192.0.2.1:4711" || local != "198.51.100.7:443" {
				t.Fatalf("%d: %s to %s", at, client, local)
			}
			d.respond(e, "x")
			if got := d.receive(peer, len(responseOf("x"))); got != responseOf("x") {
				t.Fatalf("%d: %q", at, got)
			}
			_ = peer.Close()
		}
	}
	d.until("all to be closed", func() bool { return d.server.Stats().Connections == 0 })
}

// The header comes once, and each request on the connection is of that client.
func TestRequestsBehindOneHeader(t *testing.T) {
	d := open(t, behindProxy("127.0.0.1"))
	peer := d.send(proxied2 + "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.5\r\n\r\n")
	for _, client := range []string{"192.0.2.1:4711", "203.0.113.5:0"} {
		e := d.expect(handoff.EventRequest)
		if got := shown(e.request.Client); got != client {
			t.Errorf("%s, not %s", got, client)
		}
		d.respond(e, "x")
		d.receive(peer, len(responseOf("x")))
	}
	if s := d.server.Stats(); s.Buffers != 0 {
		t.Errorf("%d buffers are held", s.Buffers)
	}
	d.write(peer, proxied1)
	if got := d.receive(peer, -1); !strings.HasPrefix(got, "HTTP/1.1 ") {
		t.Errorf("%q to a second header", got)
	}
}

// The proxy's own connection, as for a health check: the addresses are those of the connection.
func TestHeaderThatSaysNothing(t *testing.T) {
	d := open(t, behindProxy("127.0.0.1"))
	for _, header := range []string{local2, "PROXY UNKNOWN\r\n"} {
		peer := d.send(header + "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
		e := d.expect(handoff.EventRequest)
		if got := shown(e.request.Client); got != peer.LocalAddr().String() || e.request.Local.Family != handoff.FamilyUnix {
			t.Errorf("%s, %+v", got, e.request.Local)
		}
		d.respond(e, "x")
		d.receive(peer, len(responseOf("x")))
	}
}

func TestConnectionsWithoutAHeaderAreClosed(t *testing.T) {
	for what, c := range map[string]struct{ from, sent, logged string }{
		"none":         {"127.0.0.1", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "no PROXY header (--proxy-protocol)"},
		"malformed":    {"127.0.0.1", "PROXY TCP4 1 2 3 4\r\n", "malformed PROXY line (--proxy-protocol)"},
		"another peer": {"192.0.2.7", proxied1 + "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "not in proxy_protocol_from (--proxy-protocol-from)"},
		"nobody":       {"", proxied1, "not in proxy_protocol_from (--proxy-protocol-from)"},
	} {
		t.Run(what, func(t *testing.T) {
			d := open(t, behindProxy(c.from))
			for range 3 {
				if got := d.receive(d.send(c.sent), -1); got != "" {
					t.Errorf("%q", got)
				}
			}
			if s := d.server.Stats(); s.Requests != 0 || s.Refused != 3 {
				t.Errorf("%+v", s)
			}
			if n := d.count(handoff.EventLog); n != 1 {
				t.Errorf("%d lines", n)
			}
			if e := d.expect(handoff.EventLog); !strings.Contains(e.data, c.logged) || !strings.Contains(e.data, "a connection from 127.0.0.1:") {
				t.Errorf("%q", e.data)
			}
		})
	}
}

// The header and the head share header_timeout, which counts from accept.
func TestHeaderTimeoutWithAProxyHeader(t *testing.T) {
	for what, sent := range map[string][2]string{
		"nothing": {"", ""}, "half a header": {proxied2[:20], ""}, "half a head": {proxied2 + "GET / HT", "408"}, "no head": {proxied2, ""},
	} {
		t.Run(what, func(t *testing.T) {
			d := openFrozen(t, behindProxy("127.0.0.1"))
			peer := d.send(sent[0])
			d.until("the connection", func() bool { return d.server.Stats().Connections == 1 })
			if sent[0] != "" && sent[0] != proxied2 {
				d.until("its octets", func() bool { return d.server.Stats().Buffers == 1 })
			} else {
				d.turn(5 * time.Millisecond)
			}
			d.skip(900 * time.Millisecond)
			d.turn(5 * time.Millisecond)
			if n := d.server.Stats().Connections; n != 1 {
				t.Fatalf("%d connections before the time", n)
			}
			d.skip(200 * time.Millisecond)
			got := d.receive(peer, -1)
			if sent[1] == "" && got != "" && sent[0] != proxied2 || !strings.Contains(got, sent[1]) {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestLongestProxyHeader(t *testing.T) {
	d := open(t, behindProxy("127.0.0.1"))
	content := limits.MaxProxyHeaderBytes - 16
	header := proxied2[:14] + string([]byte{byte(content >> 8), byte(content)}) + proxied2[16:] + strings.Repeat("\x00", content-12)
	peer := d.client()
	go func() { _, _ = io.WriteString(peer, header+"GET / HTTP/1.1\r\nhost: a\r\n\r\n") }()
	if got := d.exchange(peer, "x"); got != responseOf("x") {
		t.Errorf("%q", got)
	}
}
