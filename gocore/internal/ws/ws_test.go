// The cost of a WebSocket.

package ws

import (
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

func TestSizeOfAState(t *testing.T) {
	if size := unsafe.Sizeof(state{}); size > limits.WebsocketBytes {
		t.Errorf("a WebSocket takes %d bytes more, the budget is %d", size, limits.WebsocketBytes)
	}
}
