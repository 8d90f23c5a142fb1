// Package main is saltare._core: the server's core, loaded into CPython as an extension module.
//
// # The way of a request
//
//	internal/server/turn.go         a turn: the outbox is carried out, epoll waits, what it reports is taken up
//	internal/transport/accept.go    a new connection
//	internal/transport/conn.go      whatever happens to a connection comes through drive, which calls its protocol
//	internal/transport/protocol.go  the table of protocols; what follows is HTTP/1.1's
//	internal/h1/h1.go               Readable: the life of a connection, as one switch
//	internal/transport/read.go      its bytes, straight into the arena of the inbox
//	internal/h1/head.go             a head becomes a request: parse and begin call internal/http1, view fills the inbox
//	internal/http1/head.go          ParseHead: where the bytes of a head are parsed
//	internal/exchange/stream.go     the stream by which the app knows the request
//	export.go                       saltare_turn ends: C has the events
//	py_core_events.c                each event is dispatched
//	py_scope.c                      a request becomes an ASGI scope
//	py_starter.c                    the request gets a task, whose first step is taken at once
//	py_run.c                        the app is called, and its coroutine stepped through
//	py_exchange.c                   its receive(): pieces of the body
//	py_send.c                       its send(): commands in the outbox; py_send_body.c has pieces of the body
//	py_awaitable.c                  what both return
//	internal/h1/command.go          the next turn: Streams.Command finds the stream, and its protocol carries the command out
//	internal/h1/respond.go          head and body of the response are framed
//	internal/http1/response.go      AppendHead: the bytes of a response's head
//	internal/transport/write.go     Flush: the first byte of the response leaves
//	internal/transport/queue.go     what a slow peer does not take waits here
//	internal/transport/turn.go      WorkOff: connections that are ready, such as one whose response has left
//	internal/h1/end.go              the next request, or the end
//	internal/transport/close.go     Mark says why a connection ends, settle closes it: the one way out
//
// A request for a WebSocket goes on, once the app accepts it:
//
//	internal/ws/upgrade.go          the handshake, read by internal/websocket, and the response to it
//	internal/ws/receive.go          frames become pieces of messages in the inbox
//	py_websocket.c                  each message becomes one object
//	py_websocket_send.c             the app's messages in the outbox
//	internal/ws/send.go             their frames
//	internal/ws/close.go            its end, by either side
//
// An idle connection gives its buffer back in Input.Unpark (internal/transport/read.go), at once: it holds one only while something of a
// request is incomplete. SIGHUP never reaches the core: saltare's Python side takes it, and to the core it is saltare_drain.
//
// # The rooms
//
// Each package may use those after it in this list, none before it; bridge.h is the border between C and Go. Everything under
// internal/ is pure Go and is tested without Python.
//
//	the border: bridge.h export.go proofs.go servers.go recover.go recover_not.go main.go
//	C, which knows Python and no HTTP:
//	    the module: py_module.c py_state.c py_state.h py_names.h py_options.c py_options.h py_memory.c py_memory.h
//	    the loop: py_core.c py_core.h py_core_type.h py_core_turn.c py_core_events.c py_core_descriptors.c py_core_rest.c
//	        py_loop.c py_loop.h py_outbox.c py_outbox.h py_timerslack.c py_timerslack.h py_fork.c py_fork.h
//	    an exchange: py_exchange.c py_exchange.h py_exchange_type.h py_exchange_table.c py_scope.c py_scope.h py_headers.c
//	        py_headers.h py_message.c py_message.h py_send.c py_send.h py_send_body.c py_send_file.c py_file.c py_file.h
//	    its task: py_starter.c py_starter.h py_run.c py_run.h py_tasklist.c py_tasklist.h py_awaitable.c py_awaitable.h
//	        py_gathered.c py_gathered.h
//	    a websocket: py_websocket.c py_websocket.h py_websocket_type.h py_websocket_send.c
//	    for all of them: py_error.c py_error.h py_hook.c py_hook.h
//	internal/server/: server.go options.go turn.go worker.go alarm.go quiet.go release.go recover.go
//	internal/h1/: h1.go head.go body.go command.go respond.go end.go refuse.go
//	internal/ws/: ws.go upgrade.go receive.go send.go pack.go close.go
//	internal/exchange/: stream.go stage.go request.go respond.go refuse.go
//	internal/transport/: conn.go loop.go protocol.go phase.go clock.go turn.go accept.go room.go read.go write.go queue.go sendfile.go
//	    deadline.go close.go peer.go recover.go release.go
//	internal/journal/: journal.go limit.go
//	internal/config/: config.go
//	internal/websocket/: handshake.go offer.go frame.go message.go deflate.go close.go mask.go utf8.go sha1.go
//	internal/sock/: sock.go
//	internal/handoff/: handoff.go inbox.go
//	internal/http1/: head.go requestline.go target.go path.go fields.go names.go meaning.go chunked.go extension.go refusal.go
//	    response.go status.go trailers.go
//	internal/message/: response.go framing.go trailers.go refusal.go
//	internal/octet/: octet.go list.go
//	internal/counters/: counters.go
//	internal/poll/: poll.go
//	internal/timer/: wheel.go
//	internal/pool/: slab.go buffers.go list.go
//	internal/limits/: limits.go connection.go websocket.go
//
// # The words of the house
//
//	turn        one call of saltare_turn: commands out, a wait, events in
//	inbox       the events that a turn gives to C, and the arena that holds what they point to
//	outbox      the commands that C has collected since the last turn
//	connection  a peer's socket; its phase says where it is in its life
//	stream      a request and its response, as C knows them; its stage says how far they are
//	handle      a stream's number and serial; one that is over finds nothing
//	protocol    what drives a connection between its bytes and its streams
//	parked      bytes of a connection that wait for their rest, in a buffer from a pool
//	gathered    bytes for a connection that leave with the next Flush, in one system call
//	unsent      what its socket did not take, queued
//	borrowed    bytes of a Python object that are sent without a copy; the token says when they are done with
//	ready       to be gone on with in this turn; put off: in the next
//	marked      to be closed; settle does it
//	lingering   our side is shut, and what the peer still sends is thrown away
//	draining    the server is to stop: each response is the last of its connection
//	refusal     a response of ours in the app's place
//	tick        16 ms, the grain of every deadline
//	slab        records by number, outside Go's heap
//	quiet       nothing has come from the app for a while, so memory is given back
package main

func main() {}
