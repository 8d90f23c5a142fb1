// Package pp drives the PROXY protocol: it reads the header in front of everything else on a connection, takes the addresses from it, and
// passes the connection on to the next protocol. It reads through the transport, so what follows may be HTTP or TLS.
package pp

import (
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/proxy"
	"saltare/gocore/internal/transport"
)

// Driver runs the PROXY protocol on one server.
type Driver struct {
	loop *transport.Loop
	next transport.Kind
}

// Open registers d with a loop. next is the protocol behind the header.
func (d *Driver) Open(loop *transport.Loop, next transport.Kind) transport.Kind {
	d.loop, d.next = loop, next
	loop.Prelude = loop.Add(d)
	return loop.Prelude
}

// Readable reads until the header is complete; its deadline is armed since accept. Nothing else is read of a peer that may not send one.
func (d *Driver) Readable(c *transport.Conn) {
	if !c.HasInput() {
		return
	}
	if !d.loop.Config.ProxyProtocolFrom.Has(&c.Client) {
		d.refuse(c, journal.ProxyPeer, "it is not in proxy_protocol_from (--proxy-protocol-from)")
		return
	}
	for {
		buf, _, ok := d.loop.Input.Take(c)
		if !ok {
			return
		}
		header, n, bad := proxy.ParseHeader(buf, d.loop.Config.ProxyProtocol)
		switch {
		case bad != "":
			d.refuse(c, journal.ProxyHeader, bad+" (--proxy-protocol)")
			return
		case n > 0:
			d.pass(c, &header, buf[n:])
			return
		case !d.loop.Input.ParkBeginning(c, buf):
			return
		}
	}
}

// pass passes the connection on. Its deadline still counts from accept.
func (d *Driver) pass(c *transport.Conn, header *proxy.Header, rest []byte) {
	client := c.Client
	if header.Known {
		client, c.Local = header.Client, header.Server
	}
	if d.loop.Input.Park(c, rest) && d.loop.Named(c, &client) {
		d.loop.BeginTLS(c)
		d.loop.Switch(c, d.next)
	}
}

func (d *Driver) refuse(c *transport.Conn, limit journal.Limit, why string) {
	l := d.loop
	l.Count(limit)
	line := "a connection from " + c.Peer() + " was closed: " + why
	l.Journal.Once(limit, line, l.Clock.Now)
	if l.Journal.Debugs() {
		l.Journal.Debug(line)
	}
	l.Mark(c, transport.Responded)
}

// Expire: the header did not arrive in time.
func (d *Driver) Expire(c *transport.Conn) { d.loop.Mark(c, transport.Responded) }

// No request is in progress before the header, so these do nothing.

func (d *Driver) Command(c *transport.Conn, k *handoff.Command, payload []byte) {}
func (d *Driver) Deadline(c *transport.Conn) uint32                             { return 0 }
func (d *Driver) Drain(c *transport.Conn)                                       {}
func (d *Driver) Gone(c *transport.Conn)                                        {}
func (d *Driver) Doing(c *transport.Conn) string                                { return "reading the PROXY header" }
func (d *Driver) Patient() bool                                                 { return false }
