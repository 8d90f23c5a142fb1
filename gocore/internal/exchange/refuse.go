// Responses that the server sends in place of the app's, and their log lines.

package exchange

import (
	"fmt"

	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/message"
	"saltare/gocore/internal/transport"
)

var (
	BodyTooLarge = &message.Refusal{Status: 413, Reason: "request body over max_request_body", Section: "RFC 9110 15.5.14"}
	NoTunnel     = &message.Refusal{Status: 501, Reason: "CONNECT is not served", Section: "RFC 9110 9.3.6"}
	HeadTimeout  = &message.Refusal{Status: 408, Reason: "header_timeout", Section: "RFC 9110 15.5.9"}
	BodyTimeout  = &message.Refusal{Status: 408, Reason: "body_timeout", Section: "RFC 9110 15.5.9"}
	AppDeclined  = &message.Refusal{Status: 403, Reason: "the app closed the websocket before it accepted it", Section: "RFC 9110 15.5.4"}
	AppFailed    = &message.Refusal{Status: 500, Reason: "the app failed", Section: "RFC 9110 15.6.1"}
	OutOfMemory  = &message.Refusal{Status: 503, Reason: "no memory for a websocket", Section: "RFC 9110 15.6.4"}
)

// Refused counts and logs a refusal caused by the peer. limit is the option that was exceeded, most its value.
func (x *Streams) Refused(c *transport.Conn, r *message.Refusal, limit journal.Limit, most uint64) {
	l := x.loop
	l.Counts.Refused++
	if l.Journal.Debugs() {
		l.Journal.Debug(fmt.Sprintf("%s: %s; answered %d while %s", c.Peer(), r.Error(), r.Status, l.Doing(c)))
	}
	l.Journal.Refused(limit, most, l.Clock.Now)
}
