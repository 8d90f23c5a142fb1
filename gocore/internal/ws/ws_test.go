// What a WebSocket costs.

package ws

import (
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

func TestSizeOfASocket(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > limits.SocketBytes {
		t.Errorf("a WebSocket takes %d bytes more, the budget is %d", size, limits.SocketBytes)
	}
}
