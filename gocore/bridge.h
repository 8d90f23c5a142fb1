/* bridge.h: the interface between C (which handles Python's objects) and Go (which handles HTTP and sockets).
 *
 * Plain C99, no Python.h. The cgo preamble of export.go and every py_*.c that needs it include this file, so signatures that
 * differ do not compile. proofs.go proves that the layouts match those of package handoff.
 *
 * In the order of a request:
 *
 *   saltare_open    creates a server: its epoll set, its options
 *   saltare_listen  sets the sockets that the server accepts from
 *   saltare_turn    reads the outbox (what the app sent), waits, returns the inbox (what the peers sent)
 *     EVENT_REQUEST     -> struct saltare_request: C makes the scope and starts the app
 *     EVENT_BODY        -> a piece of the request body
 *     COMMAND_START     <- status and header fields of the response
 *     COMMAND_BODY(_REF), COMMAND_FILE <- a piece of the response body
 *     COMMAND_TRAILERS  <- trailer fields
 *     EVENT_DRAINED, EVENT_HALF_CLOSE, EVENT_DISCONNECT, EVENT_RELEASE -> what else happens to the request
 *   a request for a websocket (EVENT_WEBSOCKET) may get an ordinary response, or become a websocket:
 *     COMMAND_WS_ACCEPT <- the app accepts it
 *     EVENT_WS_EXPECT, EVENT_WS_DATA -> what the peer sends: C makes one object of each message
 *     COMMAND_WS_SEND(_REF) <- a message from the app
 *     EVENT_WS_CLOSE, COMMAND_WS_CLOSE -> the end of the websocket
 *   saltare_unready health answers say that the server is about to stop
 *   saltare_drain   stops accepting, finishes requests in progress
 *   saltare_abandon, saltare_close   release everything
 *
 * Threads. No function needs the GIL, and none calls into Python. A server has a lock, which a turn holds except while it waits.
 * "any" means: any thread may call the function. If another thread is within a turn of that server, the call waits for the lock.
 * Calls of turn, abandon and close for one server must not overlap (`polling` of a Core ensures this). Different servers are
 * independent. A forked child may call none of these functions (py_fork.h).
 * Handles. A stream is slot + generation in one uint64; a command for a stream that has ended is ignored.
 * A server is a number; -ESTALE means that it was closed.
 * Errors. Functions return 0 or more on success and -errno on failure unless their comment says otherwise. On failure they
 * write nothing to what their arguments point to.
 */
#ifndef SALTARE_BRIDGE_H
#define SALTARE_BRIDGE_H

#include <stdint.h>

#include "bridge_inbox.h"

/* ---- back-pressure and copying; limits.go gives the reasons ---------------------------------------------------------- */

/* Bytes of a response, plus the cost of its pieces, that may be sent before C asks by COMMAND_NOTIFY if the peer keeps up. */
#define SALTARE_SEND_WINDOW (48 * 1024)
/* Largest piece, in bytes, copied by COMMAND_BODY; COMMAND_BODY_REF borrows longer ones. The same limit applies to messages. */
#define SALTARE_INLINE (4 * 1024)
/* SALTARE_SEND_WINDOW for the messages of a websocket. */
#define SALTARE_WS_WINDOW (1024 * 1024 - 16 * 1024)
/* Cost of a piece of a request or response body besides its bytes; interim responses and trailers are such pieces too. */
#define SALTARE_PIECE_COST 256
/* Cost of a file in a response besides its bytes: its descriptor. */
#define SALTARE_FILE_COST (4 * 1024)
/* Cost of a message, in both directions, besides its bytes. */
#define SALTARE_WS_COST 64
/* C sends COMMAND_CONSUMED once the app has received messages of this cost. */
#define SALTARE_WS_TAKEN (32 * 1024)

/* ---- saltare_open ------------------------------------------------------------------------------------------- */

/* A listening socket, non-blocking. The server borrows the descriptor; the caller closes it. */
struct saltare_listener {
    int32_t fd;
    uint32_t wildcard; /* 1: bound to 0.0.0.0 or ::, so the local address is looked up for each connection */
};

enum saltare_unit { UNIT_PLAIN = 0, UNIT_MILLISECONDS = 1, UNIT_TEXT = 2 };

/* An option of a server. Its meaning and effect are defined only by its row in internal/server/options.go. */
struct saltare_option {
    const char *name; /* not terminated. Valid for the life of the process */
    uint32_t name_len;
    uint32_t unit; /* of the value: UNIT_* */
    uint64_t most; /* largest value allowed */
};

/* Upper limit on the number of options. */
#define SALTARE_OPTIONS_MOST 96

/* A value for an option; an option without a setting has the value 0 or its default. */
struct saltare_setting {
    uint64_t value;   /* of UNIT_TEXT: the length of the text */
    const char *text; /* of UNIT_TEXT, else NULL. Copied by saltare_open */
    uint32_t option;  /* its index */
};

struct saltare_config {
    const struct saltare_setting *settings;
    const uint32_t *forked; /* nonzero once this process has forked; may be NULL */
    uint32_t n_settings;
};

/* What C needs to know about a server. */
struct saltare_opened {
    int32_t epoll_fd; /* a guest driver watches it for reading. The server owns and closes it */
    uint32_t guest;   /* 1: a guest driver runs this server, so deadlines use a timerfd */
    char *why;        /* with -EIO: one line of UTF-8, to be freed by the caller. Before the call NULL */
};

/* ---- the outbox: what a turn reads -------------------------------------------------------------------------- */

enum saltare_command_kind {
    COMMAND_START = 1, /* arg: status (interim: not a start); payload: fields, each { uint32 name_len, value_len; name; value } unpadded;
                          flags: COMMAND_WHOLE */
    COMMAND_BODY,      /* payload: bytes; flags: COMMAND_MORE */
    COMMAND_BODY_REF,  /* payload: struct saltare_body_ref; flags: COMMAND_MORE */
    COMMAND_FILE,      /* payload: struct saltare_file; flags: COMMAND_MORE */
    COMMAND_TRAILERS,  /* payload: fields as in COMMAND_START; flags: COMMAND_MORE. After the last piece of the body, sent with COMMAND_MORE */
    COMMAND_CONSUMED,  /* arg: bytes that the app received: of a body, plus SALTARE_PIECE_COST per piece, or of messages, plus SALTARE_WS_COST each */
    COMMAND_CONTINUE,  /* the app asks for the body of an EVENT_CONTINUE request */
    COMMAND_NOTIFY,    /* the app waits for EVENT_DRAINED */
    COMMAND_ABORT,     /* the app ended without a complete response: 500 if nothing was sent, else close, unless it is an event stream that
                          was told to end; a websocket with code 1011 */
    COMMAND_WS_ACCEPT, /* the request becomes a websocket; payload: fields as in COMMAND_START */
    COMMAND_WS_SEND,   /* payload: a message; flags: COMMAND_TEXT */
    COMMAND_WS_SEND_REF, /* payload: struct saltare_body_ref; flags: COMMAND_TEXT */
    COMMAND_WS_CLOSE,  /* arg: code; payload: reason, UTF-8. No message follows. Before COMMAND_WS_ACCEPT: a refusal with a status by the code */
};

enum saltare_command_flags {
    COMMAND_MORE = 1,
    COMMAND_TEXT = 2,
    COMMAND_WHOLE = 4, /* the next command is the whole body, and the app has not declared its length */
};

/* Each command starts at a multiple of 8 bytes; len bytes of payload follow it. */
struct saltare_command {
    uint16_t kind, flags;
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

/* A part of a regular file, sent by sendfile(2). Owns: the server takes over the descriptor and closes it. */
struct saltare_file {
    uint64_t offset, len;
    int32_t fd;
};

/* ---- functions ---------------------------------------------------------------------------------------------- */

enum saltare_turn_flags {
    TURN_INTERRUPTED = 1, /* a signal ended the wait: run its handler before the next turn */
    TURN_MORE = 2,        /* work is left: do not wait before the next turn (the server will not wait in it) */
    TURN_EMPTY = 4,       /* the draining server has no connection left. Once */
    TURN_QUIET = 8,        /* a quiet period: the app has sent nothing for a while. Once, until it sends again */
    TURN_PAUSE = 16,       /* a short quiet period, or a wait ended without one: pages of code may be dropped before the next wait */
};

/* Mapped memory, end not included. */
struct saltare_range {
    uintptr_t start, end;
};

struct saltare_turn {
    const void *outbox; /* in */
    uint64_t outbox_len;
    int64_t timeout_ns; /* in: the longest wait; -1 for ever, 0 none */
    uint64_t tasks;     /* in: tasks of the app that have not ended */
    const struct saltare_range *code; /* in: mapped files, dropped from memory just before the first wait */
    uint32_t n_code;
    uint32_t n_events;
    const struct saltare_event *events; /* out: valid until the next turn */
    uint32_t flags; /* out: TURN_* of all turns since the last one that succeeded */
};

/* Counters of one server. */
struct saltare_stats {
    uint64_t connections; /* open now */
    uint64_t streams;     /* requests that the app is handling */
    uint64_t requests;    /* parsed since saltare_open */
    uint64_t accepted;
    uint64_t refused; /* connections over the limit, and requests rejected by the parser */
    uint64_t buffers; /* read buffers held by connections */
    uint64_t unsent;  /* bytes queued for slow peers, including files */
    uint64_t panics;  /* bugs of the core, each of which closed one connection */
};

/* A cause of refusals, and how often it was one since saltare_open. */
struct saltare_refusal {
    const char *cause; /* not terminated. Valid for the life of the process */
    uint64_t cause_len;
    uint64_t count;
};

/* What Go holds in this process for all servers; all zero when none is open. */
struct saltare_live {
    uint64_t handles, connections, streams, websockets, buffers, queues, files;
};

#ifndef SALTARE_GO_PREAMBLE /* cgo generates these prototypes itself */

/* Describes an option.
 * Threads: any.
 * Owns: Go owns the name, which stays valid.
 * Units: indices count from 0 without gaps.
 * Returns: 0, or -ENOENT when there are no more. */
int32_t saltare_option(uint32_t index, struct saltare_option *option);

/* Opens a server without listeners.
 * Threads: any.
 * Owns: everything the config points to is copied, except `forked`, which is read until the server is closed. A descriptor
 * among the settings is borrowed for the call.
 * Units: those of each option.
 * Returns: a handle above 0; -EINVAL for an unknown option or a value it does not take; -EIO for a certificate or key that cannot
 * be used, with the reason in `why`; -ENOTSUP for TLS in a build without it; -errno of epoll_create1(2), mmap(2),
 * timerfd_create(2) or of opening the table of workers. */
int64_t saltare_open(struct saltare_config *config, struct saltare_opened *opened);

/* Starts to accept from n listeners, in the next turn. Once per server.
 * Threads: any.
 * Owns: the array is copied; the descriptors are borrowed until a turn after saltare_drain, or saltare_close.
 * Units: n counts listeners; a request holds the index of its listener.
 * Returns: 0, -ESTALE, -EALREADY, or -errno of epoll_ctl(2) or of opening the access log. */
int32_t saltare_listen(int64_t server, struct saltare_listener *listeners, uint32_t n);

/* One turn: carries out the commands of the outbox, waits, reads, parses, runs deadlines; repeats until there is an event for
 * the app.
 * Threads: one at a time, and not during abandon or close.
 * Owns: outbox and code are read within the call. The server takes over files that commands name, and borrows bytes that they
 * lend until EVENT_RELEASE; after -ESTALE the caller owns both. The server owns the events, valid until the next turn, abandon
 * or close.
 * Units: nanoseconds; the outbox in bytes, a multiple of 8.
 * Returns: 0, -ESTALE, or -errno of epoll_wait(2); in the last case the commands were carried out. */
int32_t saltare_turn(int64_t server, struct saltare_turn *turn);

/* Like epoll_ctl(2) for a descriptor of the application, level-triggered: adds it, changes it, or removes it.
 * Threads: any; takes effect at once, even during a wait.
 * Owns: the descriptor is borrowed until it is removed or closed.
 * Units: events are EPOLLIN, EPOLLOUT or both; 0 removes it.
 * Returns: 0, -ESTALE, or -errno of epoll_ctl(2). */
int32_t saltare_watch(int64_t server, int32_t fd, uint32_t events);

/* Opens the file of the access log again. On failure the old one stays.
 * Threads: any.
 * Owns: nothing.
 * Units: none.
 * Returns: 0, -ESTALE, or -errno of open(2). */
int32_t saltare_reopen_log(int64_t server);

/* Makes health answers say from now on that the server is about to stop; it goes on serving.
 * Threads: any; takes effect at once.
 * Owns: nothing.
 * Units: none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_unready(int64_t server);

/* Stops accepting, closes idle connections, and closes each other connection after its current response. Takes effect in the
 * next turn.
 * Threads: any; does not wake a turn that waits.
 * Owns: the caller owns the listeners' descriptors again after the next turn.
 * Units: none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_drain(int64_t server);

/* Closes every connection at once. Of the turn's fields it sets events and n_events; the events release borrowed bodies. Call
 * it until it returns no events.
 * Threads: one at a time, and not during a turn.
 * Owns: the server owns the events, valid until the next call or until the server is closed.
 * Units: none.
 * Returns: 0; or -ESTALE, with n_events 0. */
int32_t saltare_abandon(int64_t server, struct saltare_turn *turn);

/* Frees the server, after saltare_abandon.
 * Threads: once, and not during a turn; later calls of other functions return -ESTALE.
 * Owns: the server's events and epoll descriptor may no longer be used.
 * Units: none.
 * Returns: 0 or -ESTALE. */
int32_t saltare_close(int64_t server);

/* Reads the counters of a server.
 * Threads: any.
 * Owns: nothing.
 * Units: as the fields say.
 * Returns: 0 or -ESTALE. */
int32_t saltare_stats(int64_t server, struct saltare_stats *stats);

/* Reads how often a server has refused something for one cause.
 * Threads: any.
 * Owns: Go owns the name of the cause, which stays valid.
 * Units: indices count from 0 without gaps; counts are refusals, and connections that a limit has ended.
 * Returns: 0, -ESTALE, or -ENOENT when there are no more causes. */
int32_t saltare_refusal(int64_t server, uint32_t index, struct saltare_refusal *refusal);

/* Counts the open connections of a server by their phase, in the order of its table in package transport, without Closed.
 * Threads: any.
 * Owns: nothing.
 * Units: connections.
 * Returns: 0 or -ESTALE. */
int32_t saltare_phases(int64_t server, uint64_t counts[6]);

/* Counts what all servers of this process hold.
 * Threads: any; it waits for each server's lock, so the caller should release the GIL.
 * Owns: nothing.
 * Units: as the fields say.
 * Returns: nothing. */
void saltare_live(struct saltare_live *live);

/* Returns the name for a saltare_field.id.
 * Threads: any.
 * Owns: Go owns the name, which stays valid; it is not terminated.
 * Units: bytes.
 * Returns: the name; NULL with *len 0 after the last one. The name for id 0 is empty. */
const char *saltare_known_name(uint32_t id, uint32_t *len);

/* Describes this build of the core: "flavour version go-version".
 * Threads: any.
 * Owns: Go owns the text, which stays valid.
 * Units: none.
 * Returns: the text, terminated. */
const char *saltare_build_info(void);

#endif
#endif
