// What counts against a limit: refusals by cause, and by address its connections (max_connections_per_ip) and requests
// (rate_limit_per_sec).

package transport

import (
	"saltare/gocore/internal/addresses"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
)

// Count counts a refusal.
func (l *Loop) Count(why journal.Limit) {
	l.Counts.Refused++
	l.CountLimit(why)
}

// CountLimit counts what a limit has ended.
func (l *Loop) CountLimit(why journal.Limit) {
	l.Counts.Refusals[why]++
	if l.Figures != nil {
		l.Figures.Refusals[why]++
	}
}

// Refused counts a refusal because of a limit of most, and logs it.
func (l *Loop) Refused(why journal.Limit, most uint64) {
	l.Count(why)
	l.Journal.Refused(why, most, l.Clock.Now)
}

// isCapped tells whether the peer's connections are counted. Those of a proxy that is believed are not: they carry the requests of many
// clients.
func (l *Loop) isCapped(peer *handoff.Address) bool {
	proxies := &l.Config.Proxies
	return l.Config.MaxConnectionsPerIP > 0 && peer.Family != handoff.FamilyUnix && !(proxies.On && proxies.From.Has(peer))
}

// refuses tells whether the peer has max_connections_per_ip connections already, and counts the refusal.
func (l *Loop) refuses(peer *handoff.Address) bool {
	most := l.Config.MaxConnectionsPerIP
	if !l.isCapped(peer) || l.Known.Connections(addresses.KeyOf(peer)) < most {
		return false
	}
	l.Refused(journal.MaxConnectionsPerIP, uint64(most))
	return true
}

func (l *Loop) enter(peer *handoff.Address) {
	if l.isCapped(peer) {
		l.Known.Enter(addresses.KeyOf(peer))
	}
}

// Named takes the client's address from a PROXY header. ok is false if the client has too many connections: this one is reset then.
func (l *Loop) Named(c *Conn, client *handoff.Address) (ok bool) {
	if l.refuses(client) {
		c.Reset()
		l.Mark(c, Responded)
		return false
	}
	c.Client = *client
	l.enter(client)
	return true
}

// left takes back what enter has counted: behind a PROXY header nothing, until the client is known.
func (l *Loop) left(c *Conn) {
	of := &l.Accept.Listeners[c.Listener]
	known := l.Config.ProxyProtocol == 0 || c.protocol != of.Protocol
	if known && !of.Admin && l.isCapped(&c.Client) {
		l.Known.Leave(addresses.KeyOf(&c.Client))
	}
}

// MayAsk takes a token for a request of the client; ok is false if it has none. Clients without an IP address need none.
func (l *Loop) MayAsk(client *handoff.Address) (ok bool) {
	return client.Family == handoff.FamilyUnix || l.Known.Take(addresses.KeyOf(client), l.Config.Rate, l.Opened+l.Clock.Elapsed)
}
