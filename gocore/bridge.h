/* bridge.h: the border between C (which knows Python's objects) and Go (which knows HTTP and sockets).
 *
 * Plain C99, no Python.h. It is in the cgo preamble of export.go and included by every py_*.c that needs it, so a signature that
 * drifts does not compile; proofs.go proves that the layouts are those of package handoff.
 *
 * Read it in the order of a request:
 *
 *   saltare_open    a server: its epoll set, its options
 *   saltare_listen  the sockets it accepts from
 *   saltare_turn    takes the outbox (what the app sent), waits, gives the inbox (what the peers sent)
 *     EVENT_REQUEST     -> struct saltare_request: C makes the scope and starts the app
 *     EVENT_BODY        -> a piece of the request body
 *     COMMAND_START     <- status and header fields of the answer
 *     COMMAND_BODY(_REF), COMMAND_FILE <- a piece of the answer's body
 *     COMMAND_TRAILERS  <- fields behind it
 *     EVENT_DRAINED, EVENT_HALF_CLOSE, EVENT_DISCONNECT, EVENT_RELEASE -> the rest of its life
 *   a request that asks for a websocket (EVENT_WEBSOCKET) may be answered as any other, or become one:
 *     COMMAND_WS_ACCEPT <- it does
 *     EVENT_WS_EXPECT, EVENT_WS_DATA -> what the peer sends: C makes one object of each message
 *     COMMAND_WS_SEND(_REF) <- a message of the app's
 *     EVENT_WS_CLOSE, COMMAND_WS_CLOSE -> its end
 *   saltare_drain   stop accepting, finish what is in progress
 *   saltare_abandon, saltare_close   give everything back
 *
 * Threads. No function needs the GIL, and none calls into Python. A server has a lock, which a turn holds except while it waits:
 * "any" means that a function may be called from any thread, also while another thread is within a turn of that server, and then
 * waits for that lock. Three functions have the server for themselves: turn, abandon and close of one server must not overlap
 * (`polling` of a Core sees to it). Different servers are independent. In the child of a fork nothing may be called (py_fork.h).
 * Handles. A stream is slot + generation in one uint64; a command for a stream that is over is ignored.
 * A server is a number; -ESTALE says that it was closed.
 * Errors. Functions return 0 or more on success and -errno on failure unless their comment says otherwise; then nothing was
 * written to what their arguments point to.
 */
#ifndef SALTARE_BRIDGE_H
#define SALTARE_BRIDGE_H

#include <stdint.h>

/* ---- back-pressure and copying; limits.go has the reasons ------------------------------------------------------------ */

/* So many bytes of an answer, and what its pieces count, may be sent before C asks, by COMMAND_NOTIFY, whether the peer keeps up. */
#define SALTARE_SEND_WINDOW (48 * 1024)
/* A piece of at most so many bytes travels as COMMAND_BODY, a longer one is borrowed by COMMAND_BODY_REF. So do messages. */
#define SALTARE_INLINE (4 * 1024)
/* The same as SALTARE_SEND_WINDOW for the messages of a websocket. */
#define SALTARE_WS_WINDOW (1024 * 1024 - 16 * 1024)
/* What a piece of a body counts besides its bytes, of a request or an answer; interim answers and trailers are such pieces too. */
#define SALTARE_PIECE_COST 256
/* What a file in an answer counts besides its bytes: its descriptor. */
#define SALTARE_FILE_COST (4 * 1024)
/* What a message counts in both directions, besides its bytes. */
#define SALTARE_WS_COST 64
/* Once the app has received so much of messages, C sends COMMAND_CONSUMED. */
#define SALTARE_WS_TAKEN (32 * 1024)

/* ---- saltare_open ------------------------------------------------------------------------------------------- */

/* A listening socket, non-blocking. The server borrows the descriptor: whoever bound it closes it. */
struct saltare_listener {
    int32_t fd;
    uint32_t wildcard; /* 1: bound to 0.0.0.0 or ::, so each connection is asked for its own local address */
};

enum saltare_unit { UNIT_PLAIN = 0, UNIT_MILLISECONDS = 1 };

/* An option of a server. What it means and sets stands in its row of internal/server/options.go and nowhere else. */
struct saltare_option {
    const char *name; /* not terminated. Memory of the process, for ever */
    uint32_t name_len;
    uint32_t unit; /* of its values: UNIT_* */
    uint64_t most; /* the largest value */
};

/* So many options there are at most. */
#define SALTARE_OPTIONS_MOST 64

/* A value for an option; those without have the value 0 or a default. */
struct saltare_setting {
    uint64_t value;
    uint32_t option; /* its index */
};

struct saltare_config {
    const struct saltare_setting *settings;
    const char *server_header; /* value of the Server field; length 0: no such field */
    const char *extra_headers; /* complete "name: value\r\n" lines, added to every answer */
    const uint32_t *forked;    /* not 0 once this process has forked; may be NULL */
    uint32_t n_settings, server_header_len, extra_headers_len;
};

/* What C needs to know of a server. */
struct saltare_opened {
    int32_t epoll_fd; /* that a guest driver watches for reading. The server's, which closes it */
    uint32_t guest;   /* 1: it is one, so deadlines go through a timerfd */
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
    EVENT_WS_CLOSE,    /* the websocket is over; flags: its code; data, len: the reason, UTF-8. The stream is over */
    EVENT_HALF_CLOSE,  /* the peer of the stream, whose request came whole, sends nothing any more. It may have gone, or wait
                          for the answer: the stream goes on, commands are carried out. Once; not of a websocket */
};

enum saltare_event_flags {
    EVENT_LAST = 1,     /* of EVENT_REQUEST and EVENT_BODY: the request body ends here; of EVENT_WS_DATA: the message does */
    EVENT_CONTINUE = 2, /* of EVENT_REQUEST: the peer waits for COMMAND_CONTINUE (RFC 9110 10.1.1) */
    EVENT_SILENT = 4,   /* of EVENT_REQUEST: the answer's body will not be sent (RFC 9110 9.3.2: HEAD) */
    EVENT_WEBSOCKET = 8, /* of EVENT_REQUEST: it asks for a websocket (RFC 6455 4.2.1) */
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
    COMMAND_ABORT,     /* the app is over without a complete answer: 500 if nothing was sent, else the end; of a websocket with code 1011 */
    COMMAND_WS_ACCEPT, /* the request becomes a websocket; payload: fields as of COMMAND_START */
    COMMAND_WS_SEND,   /* payload: a message; flags: COMMAND_TEXT */
    COMMAND_WS_SEND_REF, /* payload: struct saltare_body_ref; flags: COMMAND_TEXT */
    COMMAND_WS_CLOSE,  /* arg: code; payload: reason, UTF-8. The app's last message. Before COMMAND_WS_ACCEPT: 403 */
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
    TURN_EMPTY = 4,       /* the server drains and its last connection is gone. Once */
    TURN_LULL = 8,        /* the app has sent nothing for a while. Once, until it sends again */
    TURN_REST = 16,       /* the same for a moment, or a wait ended without it: pages of code may go before the next wait */
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

/* Tells what an option is.
 * Threads: any.
 * Owns: the name is Go's, for ever.
 * Units: indices count from 0 and leave none out.
 * Returns: 0, or -ENOENT when there are no more. */
int32_t saltare_option(uint32_t index, struct saltare_option *option);

/* Opens a server without listeners.
 * Threads: any.
 * Owns: all that the config points to is copied, but `forked`, which is read until the server is closed. A descriptor among
 * the settings is borrowed for the call.
 * Units: those of each option.
 * Returns: a handle above 0; -EINVAL for a setting that no option takes; -errno of epoll_create1(2), mmap(2), timerfd_create(2)
 * or of a look at the table of workers. */
int64_t saltare_open(struct saltare_config *config, struct saltare_opened *opened);

/* Begins to accept from n listeners, in the next turn. Once per server.
 * Threads: any.
 * Owns: the array is copied; the descriptors are borrowed until a turn after saltare_drain, or saltare_close.
 * Units: n counts listeners; a request has the index of its own.
 * Returns: 0, -ESTALE, -EALREADY, or -errno of epoll_ctl(2). */
int32_t saltare_listen(int64_t server, struct saltare_listener *listeners, uint32_t n);

/* One turn: writes the outbox out, waits, reads, parses, runs deadlines; again, while none of that is an event for the app.
 * Threads: one at a time, and not during abandon or close.
 * Owns: outbox and code are read within the call. Files that commands name are the server's, and bytes that they lend are
 * borrowed until EVENT_RELEASE; but after -ESTALE both are the caller's. The events are the server's, until the next turn,
 * abandon or close.
 * Units: nanoseconds; of the outbox bytes, a multiple of 8.
 * Returns: 0, -ESTALE, or -errno of epoll_wait(2), with the commands carried out. */
int32_t saltare_turn(int64_t server, struct saltare_turn *turn);

/* Like epoll_ctl(2) for a descriptor of the application, level-triggered: adds it, changes it, or removes it.
 * Threads: any; a turn that waits takes notice at once.
 * Owns: the descriptor is borrowed until it is removed or closed.
 * Units: events are EPOLLIN, EPOLLOUT or both; 0 removes it.
 * Returns: 0, -ESTALE, or -errno of epoll_ctl(2). */
int32_t saltare_watch(int64_t server, int32_t fd, uint32_t events);

/* Stops accepting and lets every answer be the last one of its connection; idle connections are closed. All of that from the
 * next turn on.
 * Threads: any; a turn that waits does not notice.
 * Owns: the listeners' descriptors are the caller's again after the next turn.
 * Units: none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_drain(int64_t server);

/* Ends every connection at once. Of the turn's fields it sets events and n_events, which give borrowed bodies back: call it
 * again until there are none.
 * Threads: one at a time, and not during a turn.
 * Owns: the events are the server's, until it is called again or the server is closed.
 * Units: none.
 * Returns: 0; or -ESTALE, with n_events 0. */
int32_t saltare_abandon(int64_t server, struct saltare_turn *turn);

/* Frees the server, after saltare_abandon.
 * Threads: once, and not during a turn; other functions then return -ESTALE.
 * Owns: nothing of the server may be used any more: events, and the descriptor of its epoll set.
 * Units: none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_close(int64_t server);

/* Reads the figures of a server.
 * Threads: any.
 * Owns: nothing.
 * Units: as the fields say.
 * Returns: 0 or -ESTALE. */
int32_t saltare_stats(int64_t server, struct saltare_stats *stats);

/* Counts what all servers of this process hold.
 * Threads: any; it waits for the turns of all servers, so the caller had better release the GIL.
 * Owns: nothing.
 * Units: as the fields say.
 * Returns: nothing. */
void saltare_live(struct saltare_live *live);

/* Tells the name behind saltare_field.id.
 * Threads: any.
 * Owns: the name is Go's, for ever; it is not terminated.
 * Units: bytes.
 * Returns: the name; NULL with *len 0 behind the last one. The one with the id 0 is empty. */
const char *saltare_known_name(uint32_t id, uint32_t *len);

/* Tells what this core was built of: "flavour version go-version".
 * Threads: any.
 * Owns: the text is Go's, for ever.
 * Units: none.
 * Returns: the text, terminated. */
const char *saltare_build_info(void);

#endif
#endif
