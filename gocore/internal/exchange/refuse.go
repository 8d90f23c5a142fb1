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
	AppFailed    = &message.Refusal{Status: 500, Reason: "the app failed", Section: "RFC 9110 15.6.1"}
	OutOfMemory  = &message.Refusal{Status: 503, Reason: "no memory for a websocket", Section: "RFC 9110 15.6.4"}
)

// declined are the refusals of websockets that the app closes before it accepts them, by close code; the first is for all other codes.
var declined = [...]struct {
	code    uint32
	refusal message.Refusal
}{
	{4003, message.Refusal{Status: 403, Reason: appDeclined, Section: "RFC 9110 15.5.4"}},
	{4001, message.Refusal{Status: 401, Reason: appDeclined, Section: "RFC 9110 15.5.2"}},
	{4004, message.Refusal{Status: 404, Reason: appDeclined, Section: "RFC 9110 15.5.5"}},
	{4008, message.Refusal{Status: 408, Reason: appDeclined, Section: "RFC 9110 15.5.9"}},
	{4029, message.Refusal{Status: 429, Reason: appDeclined, Section: "RFC 6585 4"}},
}

const appDeclined = "the app closed the websocket before it accepted it"

// Declined is the refusal of a websocket that the app closes with the code before it accepts it.
func Declined(code uint32) *message.Refusal {
	at := 0
	for i := range declined {
		if declined[i].code == code {
			at = i
		}
	}
	return &declined[at].refusal
}

// ByApp tells whether the refusal is the app's doing, not the peer's.
func ByApp(r *message.Refusal) bool { return r == AppFailed || r.Reason == appDeclined }

// Refused counts and logs a refusal caused by the peer. limit is what was exceeded, most its value.
func (x *Streams) Refused(c *transport.Conn, r *message.Refusal, limit journal.Limit, most uint64) {
	l := x.loop
	l.Counts.Refused++
	if l.Figures != nil {
		l.Figures.Refusals[reasonOf(r, limit)]++
	}
	if l.Journal.Debugs() {
		l.Journal.Debug(fmt.Sprintf("%s: %s; answered %d while %s", c.Peer(), r.Error(), r.Status, l.Doing(c)))
	}
	l.Journal.Refused(limit, most, l.Clock.Now)
}
