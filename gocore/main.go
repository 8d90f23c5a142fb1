// Package main is saltare._core: the server's core, loaded into CPython as an extension module.  per process
//
// A request walks through these files:
//
//	internal/server/turn.go     a turn begins: the outbox is carried out, epoll waits
//	internal/conn/accept.go     a new connection
//	internal/conn/head.go       its bytes, parsed by internal/http1, become a request in the inbox (internal/handoff)
//	export.go                   the turn ends: C has the events
//	py_core_events.c            each event is dispatched
//	py_scope.c                  a request becomes an ASGI scope, and saltare/app/failures.py starts the app with it
//	py_exchange.c, py_send*.c   the app's receive() and send(): pieces of the body in, commands in the outbox
//	internal/conn/answer.go     the next turn: commands become the answer, framed by internal/http1
//	internal/conn/write.go      its bytes leave, and in sendfile.go its files; queue.go has what a slow peer does not take
//	internal/conn/close.go      the one way out
//
// A request for a WebSocket goes on, once the app accepts it:
//
//	internal/conn/upgrade.go    the handshake, read by internal/websocket, and its answer
//	internal/conn/message.go    frames become pieces of messages in the inbox
//	py_websocket.c              each message becomes one object
//	py_websocket_send.c         the app's messages in the outbox, of which message.go makes frames
//	internal/conn/farewell.go   its end, by either side
//
// bridge.h is the border between C and Go. Everything under internal/ is pure Go and is tested without Python.
package main

func main() {}
