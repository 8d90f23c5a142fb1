// Package main is saltare._core: the server's core, loaded into CPython as an extension module.
//
// # The path of a request
//
//	internal/server/turn.go         one turn: carry out the outbox, wait in epoll, handle what it reports
//	internal/transport/accept.go    a new connection
//	internal/transport/conn.go      drive handles everything that happens to a connection, by calling its protocol
//	internal/transport/protocol.go  the table of protocols; the steps below are those of HTTP/1.1
//	internal/pp/pp.go               with proxy_protocol: the PROXY header, whose addresses take the place of the connection's
//	internal/h1/h1.go               Readable: the life of a connection, as one switch
//	internal/transport/read.go      reads its bytes straight into the arena of the inbox
//	internal/h1/head.go             a head becomes a request: parse and begin call internal/http1, view fills the inbox
//	internal/http1/head.go          ParseHead parses the bytes of a head
//	internal/proxy/origin.go        what fields of a proxy say of the client, if the peer is believed
//	internal/exchange/stream.go     the stream that stands for the request towards the app
//	export.go                       saltare_turn returns: C has the events
//	py_core_events.c                dispatches each event
//	py_scope.c                      a request becomes an ASGI scope
//	py_starter.c                    the request gets a task, which runs its first step at once
//	py_run.c                        calls the app and steps its coroutine
//	py_exchange.c                   receive(): pieces of the body
//	py_send.c                       send(): commands in the outbox; py_send_body.c handles pieces of the body
//	py_awaitable.c                  what receive() and send() return
//	internal/h1/command.go          in the next turn, Streams.Command finds the stream, and its protocol carries the command out
//	internal/h1/respond.go          frames the head and body of the response
//	internal/http1/response.go      AppendHead writes the head of a response
//	internal/transport/write.go     Flush: the first byte of the response leaves
//	internal/transport/queue.go     holds output that a slow peer has not accepted yet
//	internal/transport/turn.go      WorkOff: connections that are ready, such as one whose response has left
//	internal/h1/end.go              the next request, or the end of the connection
//	internal/transport/close.go     Mark records why a connection ends, closeMarked closes it: the one way out
//
// A websocket request continues, once the app accepts it:
//
//	internal/ws/upgrade.go          the handshake, parsed by internal/websocket, and its response
//	internal/ws/receive.go          frames become pieces of messages in the inbox
//	py_websocket.c                  each message becomes one object
//	py_websocket_send.c             the app's messages in the outbox
//	internal/ws/send.go             their frames
//	internal/ws/close.go            the close, by either side
//
// With TLS, which only the full flavour has, a connection begins with a handshake, and its bytes are sealed in records:
//
//	internal/transport/secure.go    what TLS adds to a connection
//	internal/transport/tls_shake.go passes the bytes of the handshake to a goroutine, internal/tlsshake/shake.go, until there is a session
//	internal/transport/tls_read.go  opens records in place, by internal/tlsrecord/open.go
//	internal/transport/tls_identity.go keeps the certificates of both sides, for scopes
//	internal/transport/tls_write.go seals output when it is sent, by internal/tlsrecord/seal.go
//
// An idle connection releases its buffer at once, in Input.Unpark (internal/transport/read.go): a connection holds a buffer only
// while part of a request is incomplete. SIGHUP never reaches the core: saltare's Python side handles it and calls saltare_drain.
//
// # The packages
//
// default.pgo is the profile by which Go compiles all of it (make profile).
//
// Each package may use only those after it in this list. bridge.h is the border between C and Go. Everything under internal/ is
// pure Go and is tested without Python.
//
//	the border: bridge.h bridge_inbox.h export.go proofs.go servers.go recover.go recover_not.go flavour_full.go main.go
//	C, which knows Python and no HTTP:
//	    the module: py_module.c py_state.c py_state.h py_names.h py_options.c py_options.h py_memory.c py_memory.h
//	    the loop: py_core.c py_core.h py_core_type.h py_core_turn.c py_core_events.c py_core_descriptors.c py_core_quiet.c
//	        py_loop.c py_loop.h py_outbox.c py_outbox.h py_timerslack.c py_timerslack.h py_fork.c py_fork.h
//	    an exchange: py_exchange.c py_exchange.h py_exchange_type.h py_exchange_table.c py_scope.c py_scope.h py_tls.c py_tls.h
//	        py_headers.c py_headers.h py_message.c py_message.h py_send.c py_send.h py_send_body.c py_send_file.c py_file.c py_file.h
//	    its task: py_starter.c py_starter.h py_run.c py_run.h py_tasklist.c py_tasklist.h py_awaitable.c py_awaitable.h
//	        py_gathered.c py_gathered.h
//	    a websocket: py_websocket.c py_websocket.h py_websocket_type.h py_websocket_send.c
//	    for all of them: py_error.c py_error.h py_hook.c py_hook.h
//	internal/server/: server.go options.go turn.go worker.go log.go measure.go alarm.go quiet.go release.go recover.go
//	internal/metrics/: metrics.go memory.go
//	internal/pp/: pp.go
//	internal/h1/: h1.go head.go limit.go body.go command.go respond.go end.go refuse.go answer.go measure.go names.go offer.go
//	internal/ws/: ws.go upgrade.go receive.go send.go pack.go close.go
//	internal/exchange/: stream.go stage.go request.go respond.go refuse.go record.go measure.go names.go
//	internal/accesslog/: log.go field.go format.go escape.go writer.go file.go
//	internal/transport/: conn.go loop.go protocol.go phase.go clock.go turn.go accept.go room.go read.go write.go queue.go sendfile.go
//	    deadline.go close.go peer.go address.go recover.go release.go secure.go; TLS in the full flavour, tls.go tls_shake.go tls_read.go
//	    tls_room.go tls_write.go tls_identity.go; in the plain one tls_not.go
//	internal/tlsshake/: tlsshake.go shake.go config.go files.go password.go identity.go name.go tickets.go signer.go (in the full flavour)
//	internal/tlsrecord/: tlsrecord.go session.go keys.go open.go seal.go post.go secrets.go cache.go (in the full flavour)
//	internal/journal/: journal.go limit.go
//	internal/config/: config.go path.go
//	internal/addresses/: table.go key.go set.go connections.go rate.go
//	internal/answer/: answer.go
//	internal/proxy/: trust.go address.go origin.go list.go element.go header.go
//	internal/websocket/: handshake.go offer.go frame.go message.go deflate.go close.go mask.go utf8.go sha1.go
//	internal/sock/: sock.go
//	internal/handoff/: handoff.go inbox.go
//	internal/identity/: id.go traceparent.go
//	internal/http1/: head.go requestline.go target.go path.go fields.go names.go meaning.go chunked.go extension.go refusal.go
//	    response.go status.go trailers.go
//	internal/message/: response.go framing.go trailers.go refusal.go
//	internal/octet/: octet.go list.go
//	internal/counters/: counters.go figures.go
//	internal/poll/: poll.go
//	internal/pair/: pair.go (for tests)
//	internal/timer/: wheel.go
//	internal/pool/: slab.go buffers.go list.go
//	internal/limits/: limits.go connection.go websocket.go tls.go
//
// # Glossary
//
//	turn        one call of saltare_turn: commands out, a wait, events in
//	inbox       the events that a turn passes to C, and the arena that holds the data they point to
//	outbox      the commands that C has collected since the last turn
//	connection  a peer's socket; its phase says where it is in its life
//	stream      a request and its response, as C knows them; its stage says how far they are
//	handle      the number and serial of a stream; the handle of a finished stream finds nothing
//	protocol    the code that connects the bytes of a connection to its streams
//	parked      incomplete input of a connection that waits for more, in a buffer from a pool
//	gathered    output of a connection that leaves with the next Flush, in one system call
//	unsent      output that the socket has not accepted, queued
//	borrowed    bytes of a Python object that are sent without a copy; its token is released once they are sent
//	ready       due for work in this turn; put off: due in the next
//	marked      to be closed; closeMarked closes it
//	lingering   our side is shut, and further input from the peer is discarded
//	draining    the server is stopping: each response is the last of its connection
//	refusal     an error response that the server sends in place of the app's
//	tick        16 ms, the resolution of every deadline
//	record      what the access log keeps of a request until it writes the request's line
//	slab        records by number, outside Go's heap
//	session     the secrets of a TLS connection, from which its keys are made again when they are needed
//	pending     records that are sealed and that the socket has not accepted
//	quiet       the app has sent no commands for a while, so memory is released
package main

func main() {}
