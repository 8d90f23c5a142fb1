// WebSocket: limits of size, memory and time.

package limits

import "time"

// Handshake.
const (
	// MaxSubprotocols is how many names a peer may offer. More: 400. Price: 8 octets each, until the end of the turn.
	MaxSubprotocols = 64
)

// Frames.
const (
	// MaxFrameHeaderBytes: two octets, an extended length of eight, a mask of four (RFC 6455 5.2).
	MaxFrameHeaderBytes = 14
	// MaxControlBytes is the longest payload of a control frame (RFC 6455 5.5), and MaxReasonBytes what remains of it after a close code.
	MaxControlBytes = 125
	MaxReasonBytes  = MaxControlBytes - 2
)

// Messages.
const (
	// DefaultMessageBytes is the largest message (ws_max_size). Larger: closed with 1009. Price: the most memory that a message takes
	// before the app can receive it.
	DefaultMessageBytes = 16 << 20
	// MessageCostBytes is what a message takes in Python besides its payload, so that a flood of tiny messages is counted too: a bytes
	// object with its place in a list takes about 48.
	MessageCostBytes = 64
	// SocketWindowBytes can be sent before the app's send() waits; with LowWaterBytes that is 1 MiB unsent, plus one message.
	SocketWindowBytes = 1<<20 - LowWaterBytes
	// TakenBytes: C reports how much the app has consumed each time it reaches this. Less than UnreadBytes, or both sides would wait.
	TakenBytes = UnreadBytes / 2
)

// Compression (ws_per_message_deflate). Without a message in progress it costs a connection nothing, except for a context. A message
// that arrives in pieces is kept compressed until it is complete.
const (
	// ContextBits is the binary logarithm of the window that ws_deflate_context lets a message refer to. Price: up to 4 KiB of received
	// and 2 KiB of sent messages, and 64 octets for their record.
	ContextBits = 12
	// DeflateFromBytes: shorter messages are sent as they are.
	DeflateFromBytes = 64
	// InflateStepBytes is how much room is added at a time for an inflated message.
	InflateStepBytes = 16 << 10
)

// Life of a connection.
const (
	// CloseTimeout bounds the close handshake: a peer that has not sent its Close by then is disconnected.
	CloseTimeout = 5 * time.Second
	// WebsocketBytes is the largest size of a websocket's record, besides those of its connection and its stream: 368 in all. A
	// compile-time check enforces it.
	WebsocketBytes = 112
)

// Compile-time check that an incomplete control frame fits the smallest buffer.
var _ = [1]struct{}{}[(MaxFrameHeaderBytes+MaxControlBytes)/512]
