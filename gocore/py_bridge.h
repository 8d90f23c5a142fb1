/* py_bridge.h: what the py_*.c files share. Everything here needs the GIL.  per request
 *
 * The rule of this border: nothing borrowed survives a call that may run Python. Such a call is one that
 *
 *   - allocates what the collector knows (a dict, tuple, list, function, exception, or object of a type of ours): on CPython
 *     3.10 and 3.11 that may collect garbage, and a finalizer may close, send, receive, or remove a reader;
 *   - calls, compares, converts (a number, a path, a buffer), iterates, formats with %R or %S, or looks up an attribute;
 *   - drops the last reference to what is not exactly a bytes, str or int.
 *
 * "Borrowed" is a PyObject * without a reference of its own (an item of a list or dict, a field that may be set or cleared),
 * a pointer into a table, a mailbox or an outbox, and what was checked: a flag, a length, an order. So in each function:
 *
 *   - what may run Python comes first, then the looking, then the act. Where that cannot be, the look is repeated;
 *   - a function that acts leaves its object consistent before it drops anything;
 *   - a hook is held while it is called (py_call_hook), since the call may replace it;
 *   - a list under construction is filled by PyList_Append, or is unknown to the collector until it is full: one that has
 *     empty places must not be found by gc.get_objects().
 *
 * `self`, `ex` and the arguments of a method are held by whoever calls it. An event of a turn is valid until the next turn,
 * and no turn can be taken while it is worked on, but for one moment: the app's first step, after which nothing of the event
 * is needed (Core.poll). tests/adversary runs the border with a collector that does the worst at each allocation. */
#ifndef SALTARE_PY_BRIDGE_H
#define SALTARE_PY_BRIDGE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"

#define KNOWN_NAMES_MAX 128

/* Per module: what would otherwise be global. */
typedef struct {
    PyTypeObject *core_type, *exchange_type, *socket_type, *awaitable_type, *run_type, *starter_type;
    /* of saltare.errors */
    PyObject *disconnected, *order_error, *value_error, *type_error, *length_error, *body_error;
    PyObject *sent;          /* the awaitable of a send that is done */
    PyObject *empty_bytes, *empty_tuple, *empty_text, *http_1_0;
    PyObject *known_names[KNOWN_NAMES_MAX]; /* bytes, by saltare_field.id */
    /* interned */
    PyObject *s_type, *s_status, *s_headers, *s_body, *s_more_body;
    PyObject *s_http_request, *s_http_disconnect;
    PyObject *s_http_version, *s_method, *s_path, *s_raw_path, *s_query_string, *s_client, *s_server;
    PyObject *s_state, *s_extensions, *s_trailers, *s_more_trailers, *s_links, *s_file, *s_offset, *s_count;
    PyObject *s_done, *s_result, *s_blocking, *s_set_result, *s_throw, *s_close, *s_nest_patched;
    PyObject *s_websocket_connect, *s_websocket_receive, *s_websocket_disconnect;
    PyObject *s_text, *s_bytes, *s_code, *s_reason, *s_subprotocol, *s_subprotocols;
    PyObject *m_get, *m_post, *m_put, *m_delete, *m_patch, *m_head, *m_options;
    /* debug counters; each ends at zero */
    Py_ssize_t cores, exchanges, awaitables, borrowed;
} module_state;

/* The state of the module that a type of ours belongs to. */
module_state *py_state(PyTypeObject *type);

/* ---- the outbox (py_outbox.c) --------------------------------------------------------------------------------- */

typedef struct {
    uint8_t *data;
    size_t len, cap;
} outbox;

/* ---- bytes put together (py_gathered.c) ------------------------------------------------------------------------ */

/* What comes in pieces and is to be one object. Nothing else may have a reference to the bytes. */
typedef struct {
    PyObject *bytes;   /* with room for more; NULL: nothing has come, not even an empty piece */
    Py_ssize_t filled; /* of them */
} gathered;

/* Makes room for size bytes more, and some for what may follow them. -1 with an exception: what was there may be lost. */
int py_gathered_reserve(gathered *self, Py_ssize_t size);
/* Adds a piece, with the same outcome. */
int py_gathered_add(gathered *self, const void *data, Py_ssize_t size);
/* New reference to a bytes object of what came, of which nothing is left here. NULL with an exception: it is all still here. */
PyObject *py_gathered_take(gathered *self);
void py_gathered_drop(gathered *self);

/* ---- type Core (py_core.c) ------------------------------------------------------------------------------------ */

typedef struct exchange exchange;

/* What the capsule RELEASE_BEFORE_WAIT of saltare._memory holds, which tells more. */
typedef size_t release_code(const void *const *addresses, size_t n, uintptr_t *ranges, size_t room);

typedef struct {
    PyObject_HEAD
    module_state *state;
    int64_t handle; /* of bridge.h; 0: closed */
    int epoll_fd;
    bool polling, guest, more, empty, woken;
    bool stepping;       /* the app takes its first step on a request, so the loop may be run within poll() */
    int depth;           /* of polls within one another */
    const struct saltare_event *events; /* of the turn that is worked on; Go's */
    uint32_t n_events, next_event;
    outbox boxes[2]; /* one is filled while Go reads the other */
    int filling;
    exchange **exchanges; /* by slot of the stream; owned references */
    uint32_t n_exchanges;
    PyObject *keys;          /* descriptor -> selector key */
    PyObject *servers;       /* scope["server"] by listener */
    PyObject *template;      /* dict that every scope is a shallow copy of */
    PyObject *extensions;    /* dict of which every scope has a copy */
    PyObject *ws_template, *ws_extensions; /* the same for scopes of WebSockets */
    PyObject *root_path;
    PyObject *lifespan;      /* dict copied into scope["state"] */
    PyObject *dispatch;      /* a Starter, or any callable(exchange, scope) */
    PyObject *create_future; /* of the loop */
    PyObject *log;           /* log(level, line) */
    PyObject *elsewhere;     /* elsewhere(send, message): the awaitable of a send() in another thread */
    unsigned long thread;    /* that polls */
    PyObject *wake;          /* of a guest: called when the outbox is no longer empty; else NULL */
    Py_ssize_t borrowed;     /* bodies lent to Go */
    PyObject *on_retire;     /* (why): this worker has reached a limit */
    PyObject *on_lull;       /* called when the app has been silent for a while */
    PyObject *release;       /* capsule: what gives back the pages of code that nothing needs while the server rests */
    bool lull_goes_on;       /* on_lull is to be called in the next turn */
    release_code *before_wait; /* what is in it, when it is to be called; else NULL */
    PyObject *on_empty;      /* called when a draining server has no connection left */
    PyObject *host_text;     /* text of the last client's address */
    struct saltare_address host;
} core;

/* Room for a command with len bytes of payload at the end of the outbox, header filled in. NULL with MemoryError. No
 * Python code may run before the payload is there, since that could take a turn. */
uint8_t *py_command(core *self, int kind, int flags, uint32_t arg, uint64_t stream, size_t len);
void py_outbox_free(outbox *box);
/* The command at *at, which goes on to the next one; NULL at the end. Its payload is behind it. */
struct saltare_command *py_outbox_next(const outbox *box, size_t *at);

/* Tells a guest loop, once a turn, that something is to be written out; called after the command is complete. -1 with an
 * exception. */
int py_core_wake(core *self);
/* Calls what Python has set as an attribute: it may be unset, and the call itself may replace it. */
PyObject *py_call_hook(PyObject *hook, const char *name, PyObject *const *args, size_t n);
/* The exchange of a stream that is still open, borrowed; NULL without exception. */
exchange *py_core_exchange(core *self, uint64_t stream);
/* Forgets the stream of an exchange that is over. */
void py_core_forget(core *self, exchange *ex);

/* ---- the scope (py_scope.c) ----------------------------------------------------------------------------------- */

/* New reference to the scope of a request, or NULL with an exception. */
PyObject *py_scope(core *self, const struct saltare_event *event);
/* New reference to a list of the subprotocols that the peer offers, or NULL with an exception. */
PyObject *py_subprotocols(const struct saltare_request *request);
/* Makes what scopes of WebSockets are copies of, from the core's template. -1 with an exception. */
int py_scope_prepare(core *self);

/* ---- type Exchange (py_exchange.c) ---------------------------------------------------------------------------- */

struct exchange {
    PyObject_HEAD
    core *core;
    uint64_t stream;
    gathered body;       /* of the request, as far as it came and was not received */
    Py_ssize_t cost;     /* what that counts in COMMAND_CONSUMED */
    PyObject *receivers; /* list of futures by which receive() waits, or NULL; their results say nothing */
    PyObject *senders;   /* the same for send() */
    Py_ssize_t window;   /* so much may be sent before send() waits: bytes, and what pieces count besides */
    Py_ssize_t most;     /* what window is once little is unsent */
    int64_t declared;    /* content-length of the answer, -1: none */
    int64_t sent;        /* bytes of its body */
    short status;        /* of the answer that has started */
    char body_open;      /* more of the request body is to come from Go */
    char expecting;      /* the peer waits for 100 Continue */
    char silent;         /* the answer's body is not for the peer: HEAD */
    char started;
    char trailers;       /* the answer ends with http.response.trailers */
    char body_over;      /* and these are now awaited */
    char complete, gone;
    char half_closed;    /* to receive() the peer has gone, but it may still read the answer */
};

/* New reference, entered in the core's table; NULL with an exception. */
exchange *py_exchange_new(core *self, const struct saltare_event *event);
/* Fills in a new object, of Exchange or of Socket, that the collector does not know yet. */
void py_exchange_init(exchange *ex, core *self, const struct saltare_event *event);
/* Of both types. */
extern PyType_Slot py_exchange_slots[];
/* Events. -1 with an exception. */
int py_exchange_body(exchange *ex, const struct saltare_event *event);
int py_exchange_drained(exchange *ex);
int py_exchange_half_closed(exchange *ex);
int py_exchange_gone(exchange *ex);
/* New references to the app's receive and send. */
PyObject *py_exchange_receive_method(exchange *ex);
PyObject *py_exchange_send_method(exchange *ex);
/* The app has said its last word. -1 with an exception. */
int py_exchange_complete(exchange *ex);
/* The app is over without a complete answer. -1 with an exception. */
int py_exchange_fail(exchange *ex);
/* What came is lost for lack of memory: to both sides the other is gone. The exception stays. */
void py_exchange_give_up(exchange *ex);
/* Ends the wait of every receive(). -1 with an exception. */
int py_exchange_wake_receivers(exchange *ex);
/* New reference to a dict with that type; NULL with an exception. */
PyObject *py_message(module_state *st, PyObject *type);
/* Enters a new future of the loop in *list, one of the exchange's. */
PySendResult py_exchange_wait(exchange *ex, PyObject **list, PyObject **result);

/* ---- send() (py_send.c), header fields (py_headers.c), files (py_file.c) ---------------------------------------- */

PyObject *py_exchange_send(exchange *ex, PyObject *message);
/* Whether an answer may still be sent; -1 with an exception. Asked again after the app's objects were looked at, since
 * that may run any code. */
int py_check_open(exchange *ex, const char *kind);
bool py_is_kind(PyObject *type, const char *name, Py_ssize_t len);
/* Head and body of an answer, of messages that may be of another kind than http.response.*. */
PyObject *py_send_start(exchange *ex, PyObject *message, const char *kind);
PyObject *py_send_body(exchange *ex, PyObject *message, const char *kind);
/* Reads the headers of a message, as far as that may run Python code. Owns: py_headers_free. -1 with an exception. */
struct headers;
int py_read_headers(struct headers *fields, module_state *st, PyObject *message, const char *kind);
/* Commands that carry fields, a copy of bytes, or bytes that Go borrows: those of an object, which is kept alive until
 * EVENT_RELEASE. -1 with an exception. */
int py_put_fields(exchange *ex, struct headers *fields, int command, int flags, long arg);
int py_put_copied(exchange *ex, int command, int flags, const void *bytes, Py_ssize_t size);
int py_put_borrowed(exchange *ex, int command, int flags, PyObject *owner, const void *bytes, Py_ssize_t size);
/* After so many bytes went into the outbox: the awaitable for the app. */
PyObject *py_pace(exchange *ex, int64_t size);

/* New reference to an item of the message, which is held because whoever looks at it may change the message. NULL without
 * exception when there is none. */
static inline PyObject *py_item(PyObject *message, PyObject *key) { return Py_XNewRef(PyDict_GetItemWithError(message, key)); }

/* Header fields as a command carries them. */
typedef struct headers {
    const char *kind;       /* type of the message, for its errors */
    PyObject *pairs;        /* tuple or list of tuples or lists; NULL: no fields */
    size_t size;            /* of the payload */
    int64_t content_length; /* that is declared among them, -1: none */
} headers;

/* Reads `given` of a message of that kind, an iterable of pairs of bytes, None or NULL. May run Python code. Owns:
 * py_headers_free. -1 with an exception. */
int py_headers_read(headers *self, module_state *st, PyObject *given, const char *kind);
/* Checks every field, without running Python code but to refuse one. -1 with an exception. */
int py_headers_check(headers *self, module_state *st);
void py_headers_put(const headers *self, uint8_t *at);
void py_headers_free(headers *self);

/* Fills part with the whole of the regular file at the path that a message names. -1 with an exception. */
int py_file_open(module_state *st, PyObject *message, const char *kind, struct saltare_file *part);
/* Fills part with what a message of zerocopysend names. goes_on: it begins where the file stands, since the message has no
 * offset. -1 with an exception. */
int py_file_borrow(module_state *st, PyObject *message, const char *kind, struct saltare_file *part, bool *goes_on);
/* Lets the file stand behind the part, as os.sendfile does. -1 with an exception. */
int py_file_seek(const struct saltare_file *part);
void py_file_close(struct saltare_file *part);

/* ---- type Socket (py_websocket.c), its send() (py_websocket_send.c) ---------------------------------------------- */

/* A message that came and was not received. */
typedef struct {
    PyObject *object; /* bytes or str */
    Py_ssize_t cost;  /* what it counts in COMMAND_CONSUMED */
} mail;

/* Those messages, the oldest first. An idle one holds no memory. */
typedef struct {
    mail one, *more; /* the only one; or, when there were several, all of them */
    uint32_t first, n, cap;
} mailbox;

/* A request for a WebSocket, and the WebSocket itself. */
typedef struct {
    exchange ex; /* first, so that it is an exchange wherever no difference is made */
    mailbox box;
    PyObject *offered;   /* list of the subprotocols that the peer speaks, until one is agreed on */
    PyObject *reason;    /* of its end, or NULL */
    gathered partial;    /* a message under way */
    Py_ssize_t taken;    /* of what came, by the app; Go was not told yet */
    uint16_t code;       /* of its end */
    char connected;      /* the app has received websocket.connect */
    char accepted;
} websocket;

/* RFC 6455 7.4.1: what a close code is that nobody gave, and that of an end without any Close. */
enum { WS_NORMAL = 1000, WS_VANISHED = 1006 };

static inline bool py_is_socket(exchange *ex) { return Py_IS_TYPE(ex, ex->core->state->socket_type); }

/* New reference; NULL with an exception. */
exchange *py_socket_new(core *self, const struct saltare_event *event);
/* Gives up what it holds besides what an exchange holds. */
void py_socket_drop(websocket *ws);
/* Events. -1 with an exception. */
int py_socket_expect(websocket *ws, const struct saltare_event *event);
int py_socket_data(websocket *ws, const struct saltare_event *event);
int py_socket_closed(websocket *ws, const struct saltare_event *event);
/* The app has closed it, or has returned without. -1 with an exception. */
int py_socket_close(websocket *ws, uint16_t code, PyObject *reason);
PyObject *py_socket_send_kind(websocket *ws, PyObject *message, PyObject *type);

/* ---- type Awaitable (py_awaitable.c) -------------------------------------------------------------------------- */

/* What a receive() or send() comes to at this moment. PYGEN_RETURN: it is done with *result. PYGEN_NEXT: *result is a
 * future to wait for before it is asked again. PYGEN_ERROR: it ends with an exception. */
typedef PySendResult (*outcome)(exchange *ex, PyObject **result);

/* Of receive() on a Socket. */
PySendResult py_socket_received(exchange *ex, PyObject **result);

/* New reference to an awaitable that asks for the outcome when it is awaited, so one that is given up has taken nothing. */
PyObject *py_awaitable_new(exchange *ex, outcome ask);
/* New reference to one that is done with None as often as it is awaited. */
PyObject *py_awaitable_none(module_state *state);
/* Raises what throw() was given. */
void py_raise_thrown(PyObject *args);

/* ---- type Starter (py_starter.c) and type Run (py_run.c) ------------------------------------------------------- */

typedef struct {
    PyObject *add;        /* enters a task */
    PyObject *references; /* set of weak references, the content of the list */
} tasklist;

typedef struct {
    PyObject_HEAD
    module_state *state;
    PyObject *app, *loop;
    PyObject *failed;     /* failed(exchange, scope, error) -> whether the task is to raise it */
    PyObject *incomplete; /* incomplete(exchange, scope) */
    PyObject *tasks;      /* exchange -> task, of those that have not ended */
    PyObject *on_idle;
    PyObject *collect; /* called every collect_every requests */
    unsigned int collect_every, since_collect;
    PyObject *task_type, *task_names, *name, *get_task_factory, *get_debug, *create_task;
    tasklist list;            /* of asyncio, when intercepting */
    PyObject *current_tasks;  /* the same: its dict of the task in a step, by loop */
    PyObject *loop_call_soon; /* of the loop, when ours is in its place */
    PyObject *step, *context; /* of the task under construction */
    char intercepting, attached;
    char ours; /* the loop: the core is its selector */
} starter;

typedef struct run run;

/* Starts the app on a request; at_once: its first step may be taken now. -1 with an exception. */
int py_starter_start(starter *self, exchange *ex, PyObject *scope, bool at_once);
/* The app of that exchange is over. -1 with an exception; one that is set already stays. */
int py_starter_ended(starter *self, exchange *ex);
/* New reference, or NULL with an exception. */
run *py_run_new(starter *self, exchange *ex, PyObject *scope);
bool py_run_over(run *self);

/* ---- asyncio's list of all tasks, before CPython 3.12 (py_tasklist.c) ------------------------------------------ */

/* Finds the list, and shadows its `add`. -1 with an exception. */
int py_tasklist_open(tasklist *self);
/* New reference to asyncio's dict of the task in a step, by loop; NULL with an exception. */
PyObject *py_tasklist_current(void);
/* Whether the task that this thread makes now stays out of it. */
void py_tasklist_leave_out(bool yes);
/* Enters a task for its first step. New reference, to be given to py_tasklist_settle; NULL with an exception. */
PyObject *py_tasklist_enter(tasklist *self, PyObject *task);
/* After the first step: takes the task out again, or enters it for good. Steals reference. -1 with an exception. */
int py_tasklist_settle(tasklist *self, PyObject *task, PyObject *reference, bool goes_on);

extern PyType_Spec py_core_spec, py_exchange_spec, py_socket_spec, py_awaitable_spec, py_run_spec, py_starter_spec;

/* ---- errors (py_error.c) -------------------------------------------------------------------------------------- */

/* Sets the exception for a negative status of a saltare_ function; returns NULL. */
PyObject *py_raise_status(int64_t status, const char *doing);
/* Nonzero in a child forked from a process with servers: Go does not survive fork, so it is never called there. */
int py_forked(void);
/* Not 0 once this process itself has forked: a child may have copies of its descriptors. */
const uint32_t *py_has_forked(void);
/* Sets RuntimeError for such a child and returns -1; 0 otherwise. */
int py_refuse_forked(void);
int py_watch_fork(void);
/* Undoes what loading the library did to the importing thread (py_timerslack.c). */
void py_restore_timer_slack(void);

#endif
