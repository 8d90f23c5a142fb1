// WebSocket: what one may say, hold and wait for.

package limits

import "time"

// Handshake.
const (
	// MaxSubprotocols is how many names a peer may offer. Over it: 400. Price: 8 octets each, as long as the turn lasts.
	MaxSubprotocols = 64
)

// Frames.
const (
	// MaxFrameHeaderBytes: two octets, an extended length of eight, a mask of four (RFC 6455 5.2).
	MaxFrameHeaderBytes = 14
	// MaxControlBytes is the longest payload of a control frame (RFC 6455 5.5), and MaxReasonBytes what a close code leaves of it.
	MaxControlBytes = 125
	MaxReasonBytes  = MaxControlBytes - 2
)

// Messages.
const (
	// DefaultMessageBytes is the largest message (ws_max_size). Over it: closed with 1009. Price: the most that a message costs
	// before the app can take it.
	DefaultMessageBytes = 1 << 20
	// MessageCostBytes is what a message costs in Python besides its payload, so that a flood of tiny ones is counted too: a
	// bytes object with its place in a list takes some 48.
	MessageCostBytes = 64
	// SocketWindowBytes may be sent before the app's send() waits; with LowWaterBytes that is 1 MiB unsent, plus one message.
	SocketWindowBytes = 1<<20 - LowWaterBytes
	// TakenBytes: so much of what it was given the app has taken before C says so. Less than UnreadBytes, or both sides would
	// wait.
	TakenBytes = UnreadBytes / 2
)

// Compression (ws_per_message_deflate). A connection costs nothing for it while no message is under way, but for a context: one
// that comes in pieces is held as it is until it is whole.
const (
	// ContextBits is the binary logarithm of the window that ws_deflate_context lets a message refer to. Price: 4 KiB of what was
	// received and 2 KiB of what was sent, as they come, and 64 octets for the record of them.
	ContextBits = 12
	// DeflateFromBytes: shorter messages are sent as they are.
	DeflateFromBytes = 64
	// InflateStepBytes is how much room is made at a time for what comes out of a message.
	InflateStepBytes = 16 << 10
)

// Life.
const (
	// CloseTimeout bounds the close handshake: a peer that has not answered our Close by then is left.
	CloseTimeout = 5 * time.Second
	// WebsocketBytes is what the record of a websocket may take, besides those of its connection and its stream: 368 in all. A
	// test holds it to that.
	WebsocketBytes = 112
)

// Proof that an unfinished control frame fits the smallest buffer.
var _ = [1]struct{}{}[(MaxFrameHeaderBytes+MaxControlBytes)/512]
