// The cost of a websocket.

package ws

import (
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

func TestSizeOfAState(t *testing.T) {
	if size := unsafe.Sizeof(state{}); size > limits.WebsocketBytes {
		t.Errorf("a websocket takes %d bytes more, the budget is %d", size, limits.WebsocketBytes)
	}
}
