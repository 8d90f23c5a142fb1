/* bridge.h: the border between C (which knows Python's objects) and Go (which knows HTTP and sockets).
 *
 * Plain C99, no Python.h. It is in the cgo preamble of export.go and included by every py_*.c, so a signature that
 * drifts does not compile; export.go proves that the layouts are those of package handoff.
 *
 * Read it in the order of a request:
 *
 *   saltare_open    a server: its epoll set, its limits
 *   saltare_listen  the sockets it accepts from
 *   saltare_turn    takes the outbox (what the app said), waits, gives the inbox (what the peers said)
 *     EVENT_REQUEST     -> struct saltare_request: C makes the scope and starts the app
 *     EVENT_BODY        -> a piece of the request body
 *     COMMAND_START     <- status and header fields of the answer
 *     COMMAND_BODY(_REF), COMMAND_FILE <- a piece of the answer's body
 *     COMMAND_TRAILERS  <- fields behind it
 *     EVENT_DRAINED, EVENT_HALF_CLOSE, EVENT_DISCONNECT, EVENT_RELEASE -> the rest of its life
 *   a request that asks for WebSocket (EVENT_WEBSOCKET) may be answered as any other, or become one:
 *     COMMAND_WS_ACCEPT <- it does
 *     EVENT_WS_EXPECT, EVENT_WS_DATA -> what the peer says: C makes one object of each message
 *     COMMAND_WS_SEND(_REF) <- a message of the app's
 *     EVENT_WS_CLOSE, COMMAND_WS_CLOSE -> its end
 *   saltare_drain   stop accepting, finish what is in flight
 *   saltare_close   give everything back
 *
 * Threads. A server belongs to one driver at a time: turn, watch, drain, close and stats of the same server must not
 * overlap (the bridge sees to it); different servers are independent. No function needs the GIL, and none calls back
 * into C.
 * Handles. A stream is slot + generation in one uint64; a command for a stream that is over is ignored.
 * A server is a number; -ESTALE says that it was closed.
 * Errors. Functions return 0 or more on success and -errno on failure unless their comment says otherwise.
 */
#ifndef SALTARE_BRIDGE_H
#define SALTARE_BRIDGE_H

#include <stdint.h>

/* ---- back-pressure and copying; limits.go says why ------------------------------------------------------------ */

/* So many bytes of an answer, and what its pieces count, may be sent before C asks, by COMMAND_NOTIFY, whether the peer keeps up. */
#define SALTARE_SEND_WINDOW (48 * 1024)
/* A piece of at most so many bytes travels as COMMAND_BODY, a longer one is borrowed by COMMAND_BODY_REF. So do messages. */
#define SALTARE_INLINE (4 * 1024)
/* The same as SALTARE_SEND_WINDOW for the messages of a WebSocket. */
#define SALTARE_WS_WINDOW (1024 * 1024 - 16 * 1024)
/* What a piece of a body counts besides its bytes, of a request or an answer; interim answers and trailers are such pieces too. */
#define SALTARE_PIECE_COST 256
/* What a file in an answer counts besides its bytes: its descriptor. */
#define SALTARE_FILE_COST (4 * 1024)
/* What a message counts in both directions, besides its bytes. */
#define SALTARE_WS_COST 64
/* Once the app has taken so much of what came, C says so by COMMAND_CONSUMED. */
#define SALTARE_WS_TAKEN (32 * 1024)

/* ---- saltare_open ------------------------------------------------------------------------------------------- */

/* A listening socket, non-blocking. The server borrows the descriptor: whoever bound it closes it. */
struct saltare_listener {
    int32_t fd;
    uint32_t wildcard; /* 1: bound to 0.0.0.0 or ::, so each connection is asked for its own local address */
};

/* Owns: everything pointed to is copied by saltare_open. Units: milliseconds, bytes; 0 switches a limit off. */
struct saltare_config {
    const char *server_header; /* value of the Server field; length 0: no such field */
    const char *extra_headers; /* complete "name: value\r\n" lines, added to every answer */
    uint64_t max_request_body;
    uint64_t ws_max_size; /* of a message; 0: 1 MiB */
    uint32_t max_request_line, max_request_head, max_request_fields; /* 0: 16 KiB, 64 KiB, 256; most: 64 KiB, 1 MiB, 4096 */
    uint32_t server_header_len;
    uint32_t extra_headers_len;
    uint32_t header_timeout;
    uint32_t keep_alive_timeout;
    uint32_t body_timeout;
    uint32_t write_timeout;
    uint32_t ws_keepalive_timeout;
    uint32_t ws_per_message_deflate; /* 1: it is agreed to */
    uint32_t ws_deflate_context;     /* 1: with context takeover (RFC 7692 7.1.1) */
    uint32_t max_concurrent_connections;
    uint32_t max_keepalive_requests;
    uint32_t date_header; /* 1: answers carry Date */
    uint32_t guest;       /* 1: the epoll descriptor is watched by another loop, so deadlines go through a timerfd */
    uint32_t debug;       /* 1: refusals of peers are reported as EVENT_LOG */
    uint32_t counters;    /* descriptor of the table that workers share (package counters); borrowed for the call */
    uint32_t slot;        /* ours in it, from 1; 0: there are no other workers */
    uint64_t retire_requests;
    uint64_t retire_rss; /* bytes. At either, EVENT_RETIRE */
    const uint32_t *forked; /* not 0 once this process has forked. Memory of the process, for ever; may be NULL */
};

/* ---- the inbox: what a turn gives --------------------------------------------------------------------------- */

enum saltare_event_kind {
    EVENT_REQUEST = 1, /* data: struct saltare_request. A new stream */
    EVENT_BODY,        /* data, len: a piece of the request body; flags: EVENT_LAST. Those that wait for the app become one */
    EVENT_DISCONNECT,  /* the peer of the stream has gone, or was given up; the stream is over */
    EVENT_DRAINED,     /* answer to COMMAND_NOTIFY: little enough of the answer is unsent */
    EVENT_RELEASE,     /* stream: the token of a COMMAND_BODY_REF whose bytes are no longer needed */
    EVENT_FD,          /* stream: a descriptor of saltare_watch; flags: its EPOLL* bits */
    EVENT_LOG,         /* data, len: one line of UTF-8; flags: LOG_* */
    EVENT_RETIRE,      /* data, len: one line of UTF-8 that says why this worker should be replaced. Once */
    EVENT_WS_EXPECT,   /* len: so many bytes of a message are to come in pieces, so that C can make room for them */
    EVENT_WS_DATA,     /* data, len: bytes of a message, text of it valid UTF-8 as a whole; flags: EVENT_TEXT, EVENT_LAST */
    EVENT_WS_CLOSE,    /* the WebSocket is over; flags: its code; data, len: the reason, UTF-8. The stream is over */
    EVENT_HALF_CLOSE,  /* the peer of the stream, whose request came whole, sends nothing any more. It may have gone, or wait
                          for the answer: the stream goes on, commands are carried out. Once; not of a WebSocket */
};

enum saltare_event_flags {
    EVENT_LAST = 1,     /* of EVENT_REQUEST and EVENT_BODY: the request body ends here; of EVENT_WS_DATA: the message does */
    EVENT_CONTINUE = 2, /* of EVENT_REQUEST: the peer waits for COMMAND_CONTINUE (RFC 9110 10.1.1) */
    EVENT_SILENT = 4,   /* of EVENT_REQUEST: the answer's body will not be sent (RFC 9110 9.3.2: HEAD) */
    EVENT_WEBSOCKET = 8, /* of EVENT_REQUEST: it asks for a WebSocket (RFC 6455 4.2.1) */
    EVENT_TEXT = 16,    /* of EVENT_WS_DATA: the message is text */
};

enum saltare_log_level { LOG_DEBUG = 1, LOG_ERROR = 2, LOG_WARNING = 3 };

/* Owns: memory of the server, valid until its next turn. */
struct saltare_event {
    uint32_t kind;
    uint32_t flags;
    uint64_t stream;
    const void *data;
    uint64_t len;
};

struct saltare_span {
    uint32_t off, len;
}; /* bytes, from saltare_request.head */

struct saltare_field {
    struct saltare_span name, value; /* name in lower case */
    uint32_t id;                     /* index of saltare_known_name, 0: none */
};

enum saltare_family { FAMILY_UNIX = 0, FAMILY_INET = 4, FAMILY_INET6 = 6 };

struct saltare_address {
    uint8_t ip[16]; /* network order; the first 4 bytes for FAMILY_INET */
    uint16_t port;
    uint16_t family;
};

struct saltare_request {
    const uint8_t *head; /* base of every span */
    const uint8_t *path; /* percent-decoded, not checked to be UTF-8 */
    const struct saltare_field *fields;
    const uint8_t *body; /* what came of the body together with the head */
    const struct saltare_span *subprotocols; /* that the peer offers with EVENT_WEBSOCKET */
    uint32_t path_len;
    uint32_t n_fields;
    uint32_t body_len;
    struct saltare_span method, raw_path, query;
    uint32_t minor;    /* 0: HTTP/1.0, 1: HTTP/1.1 */
    uint32_t listener; /* index into the array given to saltare_listen */
    uint32_t n_subprotocols;
    struct saltare_address client;
    struct saltare_address local; /* only of connections to a wildcard listener, else FAMILY_UNIX */
};

/* ---- the outbox: what a turn takes -------------------------------------------------------------------------- */

enum saltare_command_kind {
    COMMAND_START = 1, /* arg: status, an interim one is no start; payload: fields, each { uint32 name_len, value_len; name; value } unpadded */
    COMMAND_BODY,      /* payload: bytes; flags: COMMAND_MORE */
    COMMAND_BODY_REF,  /* payload: struct saltare_body_ref; flags: COMMAND_MORE */
    COMMAND_FILE,      /* payload: struct saltare_file; flags: COMMAND_MORE */
    COMMAND_TRAILERS,  /* payload: fields as of COMMAND_START; flags: COMMAND_MORE. After the last piece of the body, sent with COMMAND_MORE */
    COMMAND_CONSUMED,  /* arg: so many bytes were taken by the app, of a body and SALTARE_PIECE_COST for each piece, or of messages and SALTARE_WS_COST for each */
    COMMAND_CONTINUE,  /* the app asks for the body of an EVENT_CONTINUE request */
    COMMAND_NOTIFY,    /* the app waits for EVENT_DRAINED */
    COMMAND_ABORT,     /* the app is over without a complete answer: 500 if nothing was sent, else the end; of a WebSocket with code 1011 */
    COMMAND_WS_ACCEPT, /* the request becomes a WebSocket; payload: fields as of COMMAND_START */
    COMMAND_WS_SEND,   /* payload: a message; flags: COMMAND_TEXT */
    COMMAND_WS_SEND_REF, /* payload: struct saltare_body_ref; flags: COMMAND_TEXT */
    COMMAND_WS_CLOSE,  /* arg: code; payload: reason, UTF-8. The app's last word. Before COMMAND_WS_ACCEPT: 403 */
};

enum saltare_command_flags { COMMAND_MORE = 1, COMMAND_TEXT = 2 };

/* Each command starts at a multiple of 8 and is followed by len bytes of payload. */
struct saltare_command {
    uint16_t kind;
    uint16_t flags;
    uint32_t arg;
    uint64_t stream;
    uint64_t len;
};

/* Owns: the caller keeps ptr[0..len) alive and unchanged until EVENT_RELEASE returns the token. */
struct saltare_body_ref {
    const void *ptr;
    uint64_t len;
    uint64_t token;
};

/* A part of a regular file, sent by sendfile(2). Owns: the descriptor is the server's from now on, which closes it. */
struct saltare_file {
    uint64_t offset, len;
    int32_t fd;
};

/* ---- functions ---------------------------------------------------------------------------------------------- */

enum saltare_turn_flags {
    TURN_INTERRUPTED = 1, /* a signal ended the wait: run its handler before the next turn */
    TURN_MORE = 2,        /* work is left: do not wait in the next turn (the server will not either) */
    TURN_EMPTY = 4,       /* the server drains and its last connection is gone; said once */
    TURN_LULL = 8,        /* the app has been silent for a while; said once, until it speaks again */
    TURN_REST = 16,       /* it has for a moment, or a sleep ended without it: pages of code may go before the next wait */
};

/* Mapped memory, end not included. */
struct saltare_range {
    uintptr_t start, end;
};

struct saltare_turn {
    const void *outbox; /* in */
    uint64_t outbox_len;
    int64_t timeout_ns; /* in: the longest wait; -1 for ever, 0 none */
    const struct saltare_range *code; /* in: of files, dropped from memory as the last thing before the first wait */
    uint32_t n_code;
    uint32_t n_events;
    const struct saltare_event *events; /* out: valid until the next turn */
    uint32_t flags; /* out: TURN_* */
};

/* Figures of one server. */
struct saltare_stats {
    uint64_t connections; /* open now */
    uint64_t streams;     /* requests in the app's hands */
    uint64_t requests;    /* parsed since open */
    uint64_t accepted;
    uint64_t refused; /* connections over the cap, and requests answered by the parser */
    uint64_t buffers; /* read buffers held by connections */
    uint64_t unsent;  /* bytes queued for slow peers, those of files included */
    uint64_t panics;  /* mistakes of the core, each of which cost one connection */
};

/* What Go holds in this process, over all servers; all zero when none is open. */
struct saltare_live {
    uint64_t handles, connections, streams, sockets, buffers, queues, files;
};

#ifndef SALTARE_GO_PREAMBLE /* cgo writes these prototypes itself */

/* Opens a server.
 * Returns: a handle above 0, or -errno. Units: *epoll_fd is the descriptor a guest driver watches for reading. */
int64_t saltare_open(struct saltare_config *config, int32_t *epoll_fd);

/* Begins to accept from n listeners, in the next turn. Once per server. Owns: the array is copied, the descriptors are
 * borrowed until saltare_drain or saltare_close. Returns: 0, -ESTALE, -EALREADY, or -errno of epoll_ctl(2). */
int32_t saltare_listen(int64_t server, struct saltare_listener *listeners, uint32_t n);

/* One turn: writes the outbox out, waits, reads, parses, runs deadlines; again, when none of that was anything to the app.
 * Owns: the outbox is the caller's again on return; on -ESTALE so is what its commands lend. Returns: 0, -ESTALE, or -errno of
 * epoll. */
int32_t saltare_turn(int64_t server, struct saltare_turn *turn);

/* Like epoll_ctl(2) for a descriptor of the application: events are EPOLLIN, EPOLLOUT or both; 0 removes it.
 * Level-triggered. Returns: 0 or -errno. */
int32_t saltare_watch(int64_t server, int32_t fd, uint32_t events);

/* Stops accepting and lets every answer be the last one of its connection; idle connections are closed in the next
 * turn. Returns: 0 or -ESTALE. */
int32_t saltare_drain(int64_t server);

/* Ends every connection at once. turn->events gives borrowed bodies back: call it again until there are none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_abandon(int64_t server, struct saltare_turn *turn);

/* Frees the server, after saltare_abandon. Returns: 0 or -ESTALE. */
int32_t saltare_close(int64_t server);

int32_t saltare_stats(int64_t server, struct saltare_stats *stats);
void saltare_live(struct saltare_live *live);

/* The name behind saltare_field.id; *len 0 when there is none. Memory of the process, for ever. */
const char *saltare_known_name(uint32_t id, uint32_t *len);

/* "flavour version go-version", NUL-terminated. Memory of the process, for ever. */
const char *saltare_build_info(void);

#endif
#endif
