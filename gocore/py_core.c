/* type Core: a server as Python sees it. Its poll() is one turn of the loop.  per turn */
#include "py_bridge.h"

#include <structmember.h>

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>

/* An outbox that a burst made larger than this is given back. */
#define OUTBOX_KEEP (256 * 1024)

/* ---- the table of exchanges ----------------------------------------------------------------------------------- */

static uint32_t slot_of(uint64_t stream) { return (uint32_t)stream; }

exchange *py_core_exchange(core *self, uint64_t stream)
{
    uint32_t slot = slot_of(stream);
    exchange *ex = slot < self->n_exchanges ? self->exchanges[slot] : NULL;
    return ex != NULL && ex->stream == stream ? ex : NULL;
}

void py_core_forget(core *self, exchange *ex)
{
    if (py_core_exchange(self, ex->stream) != ex) return;
    self->exchanges[slot_of(ex->stream)] = NULL;
    Py_DECREF(ex);
}

static int grow_table(core *self, uint32_t slot)
{
    uint32_t n = self->n_exchanges ? self->n_exchanges : 16;
    while (n <= slot) n *= 2;
    exchange **table = PyMem_Realloc(self->exchanges, n * sizeof *table);
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(table + self->n_exchanges, 0, (n - self->n_exchanges) * sizeof *table);
    self->exchanges = table;
    self->n_exchanges = n;
    return 0;
}

static int enter(core *self, exchange *ex)
{
    uint32_t slot = slot_of(ex->stream);
    if (slot >= self->n_exchanges && grow_table(self, slot) < 0) return -1;
    exchange *old = self->exchanges[slot];
    self->exchanges[slot] = (exchange *)Py_NewRef(ex);
    Py_XDECREF(old);
    return 0;
}

/* ---- events --------------------------------------------------------------------------------------------------- */

PyObject *py_call_hook(PyObject *hook, const char *name, PyObject *const *args, size_t n)
{
    if (hook == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s of the core is not set", name);
        return NULL;
    }
    Py_INCREF(hook);
    PyObject *result = PyObject_Vectorcall(hook, args, n, NULL);
    Py_DECREF(hook);
    return result;
}

static int dispatch(core *self, exchange *ex, PyObject *scope)
{
    if (self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->state->starter_type)) {
        starter *st = (starter *)Py_NewRef(self->dispatch);
        self->stepping = true;
        int status = py_starter_start(st, ex, scope, self->depth == 1);
        self->stepping = false;
        Py_DECREF(st);
        return status;
    }
    PyObject *args[] = {(PyObject *)ex, scope};
    PyObject *result = py_call_hook(self->dispatch, "dispatch", args, 2);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The stream will have no answer: whoever was to give it could not be told of it, or does not exist. */
static int refuse(core *self, const struct saltare_event *event, exchange *ex)
{
    if (ex != NULL) return py_exchange_fail(ex);
    return py_command(self, COMMAND_ABORT, 0, 0, event->stream, 0) ? 0 : -1;
}

static int on_request(core *self, const struct saltare_event *event)
{
    int status = -1;
    exchange *ex = event->flags & EVENT_WEBSOCKET ? py_socket_new(self, event) : py_exchange_new(self, event);
    PyObject *scope = ex == NULL || enter(self, ex) < 0 ? NULL : py_scope(self, event);
    if (scope != NULL) {
        status = dispatch(self, ex, scope);
        Py_DECREF(scope);
    }
    if (status < 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (refuse(self, event, ex) < 0) PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(ex);
    return status;
}

static int on_stream(core *self, const struct saltare_event *event)
{
    exchange *ex = py_core_exchange(self, event->stream);
    if (ex == NULL) return 0; /* the app has said its last word meanwhile */
    Py_INCREF(ex);
    int status = event->kind == EVENT_BODY         ? py_exchange_body(ex, event)
                 : event->kind == EVENT_DRAINED    ? py_exchange_drained(ex)
                 : event->kind == EVENT_HALF_CLOSE ? py_exchange_half_closed(ex)
                                                   : py_exchange_gone(ex);
    Py_DECREF(ex);
    return status;
}

/* Of a WebSocket. */
static int on_socket(core *self, const struct saltare_event *event)
{
    exchange *ex = py_core_exchange(self, event->stream);
    if (ex == NULL || !py_is_socket(ex)) return 0;
    websocket *ws = (websocket *)Py_NewRef(ex);
    int status = event->kind == EVENT_WS_DATA     ? py_socket_data(ws, event)
                 : event->kind == EVENT_WS_EXPECT ? py_socket_expect(ws, event)
                                                  : py_socket_closed(ws, event);
    Py_DECREF(ws);
    return status;
}

static void release_body(core *self, uint64_t token)
{
    self->borrowed--;
    self->state->borrowed--;
    Py_DECREF((PyObject *)(uintptr_t)token);
}

/* New reference to the key of a descriptor. NULL without exception when it is not watched. */
static PyObject *key_of(core *self, PyObject *number) { return Py_XNewRef(PyDict_GetItemWithError(self->keys, number)); }

/* Adds (key, mask) to *ready, as a selector's select() has it. */
static int on_descriptor(core *self, const struct saltare_event *event, PyObject **ready)
{
    PyObject *number = PyLong_FromUnsignedLongLong(event->stream);
    PyObject *key = number ? key_of(self, number) : NULL;
    Py_XDECREF(number);
    if (key == NULL) return PyErr_Occurred() ? -1 : 0; /* unregistered in this very turn */
    long mask = (event->flags & ~(uint32_t)EPOLLOUT ? 1 : 0) | (event->flags & ~(uint32_t)EPOLLIN ? 2 : 0);
    PyObject *pair = Py_BuildValue("(Nl)", key, mask);
    if (pair == NULL) return -1;
    if (*ready == NULL) *ready = PyList_New(0);
    int status = *ready ? PyList_Append(*ready, pair) : -1;
    Py_DECREF(pair);
    return status;
}

static int on_retire(core *self, const struct saltare_event *event)
{
    PyObject *why = PyUnicode_DecodeUTF8(event->data, (Py_ssize_t)event->len, "replace");
    PyObject *result = why ? py_call_hook(self->on_retire, "on_retire", &why, 1) : NULL;
    Py_XDECREF(why);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int on_log(core *self, const struct saltare_event *event)
{
    PyObject *level = PyLong_FromUnsignedLong(event->flags);
    PyObject *line = PyUnicode_DecodeUTF8(event->data, (Py_ssize_t)event->len, "replace"); /* may be cut within a character */
    PyObject *args[] = {level, line};
    PyObject *result = level && line ? py_call_hook(self->log, "log", args, 2) : NULL;
    Py_XDECREF(level);
    Py_XDECREF(line);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int on_event(core *self, const struct saltare_event *event)
{
    switch (event->kind) {
    case EVENT_REQUEST: return on_request(self, event);
    case EVENT_BODY:
    case EVENT_DRAINED:
    case EVENT_HALF_CLOSE:
    case EVENT_DISCONNECT: return on_stream(self, event);
    case EVENT_WS_DATA:
    case EVENT_WS_EXPECT:
    case EVENT_WS_CLOSE: return on_socket(self, event);
    case EVENT_RELEASE: release_body(self, event->stream); return 0;
    case EVENT_LOG: return on_log(self, event);
    case EVENT_RETIRE: return on_retire(self, event);
    }
    PyErr_Format(PyExc_SystemError, "saltare: unknown event %u", event->kind);
    return -1;
}

/* The first KeyboardInterrupt or SystemExit of a turn. */
struct interruption {
    PyObject *type, *value, *traceback;
};

/* Keeps the exception that is set if it is one of those; any other is no request's fault and is reported where such are. */
static void keep(core *self, struct interruption *kept)
{
    if (kept->type == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Fetch(&kept->type, &kept->value, &kept->traceback);
    } else {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* Passes on what was kept. */
static int interrupt(struct interruption *kept)
{
    if (kept->type == NULL) return 0;
    PyErr_Restore(kept->type, kept->value, kept->traceback);
    return -1;
}

/* Takes every event of the turn that was not taken yet, whatever happens to one of them, but those of descriptors. */
static void take_events(core *self, struct interruption *kept)
{
    while (self->next_event < self->n_events) {
        const struct saltare_event *event = &self->events[self->next_event++];
        if (event->kind != EVENT_FD && on_event(self, event) < 0) keep(self, kept);
    }
}

/* Descriptors come last: an app may drop one, and have another under its number, in the turn that reports the first. */
static int on_events(core *self, PyObject **ready)
{
    struct interruption kept = {0};
    take_events(self, &kept);
    for (uint32_t i = 0; i < self->n_events; i++) {
        if (self->events[i].kind == EVENT_FD && on_descriptor(self, &self->events[i], ready) < 0) keep(self, &kept);
    }
    self->n_events = self->next_event = 0;
    return interrupt(&kept);
}

/* ---- poll ----------------------------------------------------------------------------------------------------- */

static int timeout_ns(PyObject *timeout, int64_t *ns)
{
    if (timeout == NULL || timeout == Py_None) {
        *ns = -1;
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) return -1;
    *ns = seconds <= 0 ? 0 : seconds >= 1e9 ? -1 : (int64_t)ceil(seconds * 1e9);
    return 0;
}

static int usable(core *self, const char *doing)
{
    if (py_refuse_forked() < 0) return -1;
    if (self->handle != 0) return 0;
    PyErr_Format(PyExc_RuntimeError, "%s: the core is closed", doing);
    return -1;
}

static int call_on_empty(core *self)
{
    if (self->empty || self->on_empty == NULL) return 0;
    self->empty = true;
    PyObject *result = py_call_hook(self->on_empty, "on_empty", NULL, 0);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The table ends behind the last exchange. */
static void shrink_table(core *self)
{
    uint32_t n = self->n_exchanges;
    while (n > 0 && self->exchanges[n - 1] == NULL) n--;
    if (n == 0) {
        PyMem_Free(self->exchanges);
        self->exchanges = NULL;
        self->n_exchanges = 0;
    } else if (n < self->n_exchanges / 2) {
        exchange **table = PyMem_Realloc(self->exchanges, n * sizeof *table);
        if (table == NULL) return;
        self->exchanges = table;
        self->n_exchanges = n;
    }
}

/* A dict keeps the room of all that it ever held, unless it is cleared. */
static void shrink_dict(PyObject *dict)
{
    if (dict != NULL && PyDict_GET_SIZE(dict) == 0) PyDict_Clear(dict);
}

/* What a burst has made large is small again. */
static void shrink(core *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->boxes[i].len == 0) py_outbox_free(&self->boxes[i]);
    }
    shrink_table(self);
    shrink_dict(self->keys);
    if (self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->state->starter_type)) shrink_dict(((starter *)self->dispatch)->tasks);
}

/* What runs while a server comes to rest brings pages of code back, so they are dropped as the last thing before the wait. A
 * guest's wait is its host's.
 * In order: a lull (TURN_LULL, of Go), on_lull (of Python: garbage, free memory, pages shared again), release, the wait. */
static int come_to_rest(core *self)
{
    if (self->release == NULL || self->release == Py_None) return 0;
    release_code *release = (release_code *)(uintptr_t)PyCapsule_GetPointer(self->release, "saltare._memory.RELEASE_BEFORE_WAIT");
    if (release == NULL) return -1;
    if (self->guest) {
        release(NULL, 0, NULL, 0);
    } else {
        self->before_wait = release;
    }
    return 0;
}

static int call_on_lull(core *self)
{
    PyObject *result = self->on_lull ? py_call_hook(self->on_lull, "on_lull", NULL, 0) : Py_NewRef(Py_None);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* `goes_on`: again() has been called. */
static int lull(core *self, uint32_t flags, bool goes_on)
{
    if (flags & TURN_LULL) shrink(self);
    if ((flags & TURN_LULL || goes_on) && call_on_lull(self) < 0) return -1;
    return flags & (TURN_LULL | TURN_REST) ? come_to_rest(self) : 0;
}

/* On the way to the wait are libc, the dynamic linker, the interpreter and the core itself, which goes on: each has some segments. */
#define MOST_CODE 16

static uint32_t release_before_wait(core *self, struct saltare_range *code)
{
    const void *const way[] = {
        (void *)(uintptr_t)getauxval(AT_BASE),
        (void *)(uintptr_t)epoll_create1,
        (void *)(uintptr_t)PyEval_SaveThread,
        (void *)(uintptr_t)saltare_turn,
    };
    release_code *release = self->before_wait;
    self->before_wait = NULL;
    return (uint32_t)release(way, sizeof way / sizeof *way, &code->start, MOST_CODE);
}

static PyObject *take_turn(core *self, struct saltare_turn *turn)
{
    struct saltare_range code[MOST_CODE];
    outbox *box = &self->boxes[self->filling];
    turn->outbox = box->data;
    turn->outbox_len = box->len;
    self->filling = !self->filling;
    self->woken = false;
    const bool goes_on = self->lull_goes_on;
    self->lull_goes_on = false;
    if (goes_on) turn->timeout_ns = 0;
    if (self->before_wait != NULL && box->len == 0 && turn->timeout_ns != 0) {
        turn->code = code; /* found with the GIL: a child forked meanwhile would keep a lock of the dynamic linker */
        turn->n_code = release_before_wait(self, code);
    }
    int32_t status;
    Py_BEGIN_ALLOW_THREADS
    status = saltare_turn(self->handle, turn);
    Py_END_ALLOW_THREADS
    box->len = 0;
    if (box->cap > OUTBOX_KEEP) py_outbox_free(box);
    if (self->boxes[self->filling].len == 0) self->filling = !self->filling; /* mostly one box is enough */
    if (status < 0) return py_raise_status(status, "poll");
    PyObject *ready = NULL;
    self->more = (turn->flags & TURN_MORE) != 0;
    self->events = turn->events;
    self->n_events = turn->n_events;
    self->next_event = 0;
    if (on_events(self, &ready) < 0 || (turn->flags & TURN_EMPTY && call_on_empty(self) < 0) ||
        lull(self, turn->flags, goes_on) < 0) {
        Py_XDECREF(ready);
        return NULL;
    }
    return ready ? ready : Py_NewRef(self->state->empty_tuple);
}

/* Whether poll() is called within poll() where it may be: the app, in its first step on a request, has the loop run (as
 * nest_asyncio allows). */
static bool is_nested(core *self) { return self->stepping && self->thread == PyThread_get_thread_ident(); }

/* Takes what is left of the turn under way, since the next one invalidates it. Descriptors will be reported again. */
static int finish_turn(core *self)
{
    struct interruption kept = {0};
    take_events(self, &kept);
    self->n_events = self->next_event = 0;
    return interrupt(&kept);
}

static PyObject *core_poll(core *self, PyObject *const *args, Py_ssize_t n)
{
    struct saltare_turn turn = {0};
    if (n > 1) {
        PyErr_Format(PyExc_TypeError, "poll() takes one timeout, not %zd arguments", n);
        return NULL;
    }
    if (timeout_ns(n ? args[0] : NULL, &turn.timeout_ns) < 0 || usable(self, "poll") < 0) return NULL;
    const bool nested = self->polling;
    if (nested && !is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "poll() within poll(), or in a second thread");
        return NULL;
    }
    self->polling = true;
    self->stepping = false;
    self->depth++;
    self->thread = PyThread_get_thread_ident();
    const bool unfinished = self->n_events > 0;
    if (unfinished) turn.timeout_ns = 0;
    PyObject *ready = unfinished && finish_turn(self) < 0 ? NULL : take_turn(self, &turn);
    self->depth--;
    self->polling = self->stepping = nested;
    return ready;
}

static int wake(core *self)
{
    if (self->wake == NULL || self->woken) return 0;
    self->woken = true; /* until the next turn, which the call itself may take */
    PyObject *result = py_call_hook(self->wake, "wake", NULL, 0);
    if (result == NULL) self->woken = false;
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int py_core_wake(core *self) { return self->boxes[self->filling].len == 0 ? 0 : wake(self); }

/* ---- the application's descriptors ---------------------------------------------------------------------------- */

static PyObject *core_watch(core *self, PyObject *args)
{
    int fd, mask;
    PyObject *key;
    if (!PyArg_ParseTuple(args, "iiO:watch", &fd, &mask, &key) || usable(self, "watch") < 0) return NULL;
    PyObject *number = PyLong_FromLong(fd);
    PyObject *before = number ? key_of(self, number) : NULL; /* held, so that its end finds table and epoll set in agreement */
    int32_t status = -1;
    bool entered = number != NULL && !PyErr_Occurred() && PyDict_SetItem(self->keys, number, key) == 0;
    if (entered) status = saltare_watch(self->handle, fd, (mask & 1 ? EPOLLIN : 0) | (mask & 2 ? EPOLLOUT : 0));
    if (entered && status < 0) {
        if (PyDict_DelItem(self->keys, number) < 0) PyErr_Clear();
        py_raise_status(status, "watch");
    }
    Py_XDECREF(number);
    Py_XDECREF(before);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *core_unwatch(core *self, PyObject *given)
{
    long fd = PyLong_AsLong(given);
    if ((fd == -1 && PyErr_Occurred()) || (self->keys == NULL && usable(self, "unwatch") < 0)) return NULL;
    PyObject *number = PyLong_FromLong(fd);
    PyObject *before = number ? key_of(self, number) : NULL; /* as in watch() */
    int status = number == NULL || (before == NULL && PyErr_Occurred()) ? -1 : PyDict_DelItem(self->keys, number);
    /* A closed descriptor has left the set by itself; and in a forked child the set is the parent's. */
    if (status == 0 && self->handle != 0 && !py_forked()) saltare_watch(self->handle, (int32_t)fd, 0);
    Py_XDECREF(number);
    Py_XDECREF(before);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

/* New reference to an option; NULL when it is not given, or with an exception. */
static PyObject *option(PyObject *given, const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    PyObject *value = key ? Py_XNewRef(PyDict_GetItemWithError(given, key)) : NULL;
    Py_XDECREF(key);
    return value;
}

/* Copies the dict `given` into the fields of the config. Unknown names are refused. */
struct number {
    const char *name;
    size_t size; /* of the field: 4 or 8 bytes */
    void *field;
};

static int read_number(PyObject *value, const struct number *number)
{
    unsigned long long n = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) return -1;
    if (number->size == sizeof(uint64_t)) {
        *(uint64_t *)number->field = n;
        return 0;
    }
    if (n > UINT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "%s: %llu is over 32 bits", number->name, n);
        return -1;
    }
    *(uint32_t *)number->field = (uint32_t)n;
    return 0;
}

#define NUMBER(name) {#name, sizeof config->name, &config->name}

static int read_config(PyObject *given, struct saltare_config *config)
{
    const struct number numbers[] = {
        NUMBER(header_timeout), NUMBER(keep_alive_timeout), NUMBER(body_timeout), NUMBER(write_timeout),
        NUMBER(max_concurrent_connections), NUMBER(max_keepalive_requests), NUMBER(max_request_body),
        NUMBER(max_request_line), NUMBER(max_request_head), NUMBER(max_request_fields),
        NUMBER(date_header), NUMBER(guest), NUMBER(debug),
        NUMBER(ws_max_size), NUMBER(ws_keepalive_timeout), NUMBER(ws_per_message_deflate), NUMBER(ws_deflate_context),
        NUMBER(counters), NUMBER(slot), NUMBER(retire_requests), NUMBER(retire_rss),
    };
    Py_ssize_t known = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        PyObject *value = option(given, numbers[i].name);
        int status = value ? read_number(value, &numbers[i]) : PyErr_Occurred() ? -1 : 0;
        known += value != NULL;
        Py_XDECREF(value);
        if (status < 0) return -1;
    }
    if (known == PyDict_GET_SIZE(given)) return 0;
    PyErr_Format(PyExc_TypeError, "Core: of the options in %R one is unknown", given);
    return -1;
}

#undef NUMBER

/* The extensions that every scope has a copy of. */
static int take_extensions(core *self)
{
    PyObject *given = Py_XNewRef(PyDict_GetItemWithError(self->template, self->state->s_extensions)), *extensions = NULL;
    if (given == NULL) {
        extensions = PyErr_Occurred() ? NULL : PyDict_New();
    } else if (PyDict_Check(given)) {
        extensions = PyDict_Copy(given);
    } else {
        PyErr_Format(PyExc_TypeError, "Core: extensions must be a dict, not %.100s", Py_TYPE(given)->tp_name);
    }
    Py_XDECREF(given);
    Py_XSETREF(self->extensions, extensions);
    return self->extensions ? 0 : -1;
}

static int core_init(core *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"options", "server_header", "extra_headers", "scope", "root_path", NULL};
    PyObject *options, *scope, *root_path;
    const char *server_header, *extra_headers;
    Py_ssize_t server_len, extra_len;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!y#y#O!U:Core", names, &PyDict_Type, &options, &server_header, &server_len, &extra_headers,
                                     &extra_len, &PyDict_Type, &scope, &root_path) ||
        py_refuse_forked() < 0) {
        return -1;
    }
    struct saltare_config config = {.server_header = server_header, .server_header_len = (uint32_t)server_len,
                                    .extra_headers = extra_headers, .extra_headers_len = (uint32_t)extra_len,
                                    .forked = py_has_forked()};
    if (read_config(options, &config) < 0) return -1;
    if (self->state != NULL) { /* asked after the options were read, which may have opened it */
        PyErr_SetString(PyExc_RuntimeError, "a Core is opened once");
        return -1;
    }
    self->guest = config.guest != 0;
    self->state = py_state(Py_TYPE(self));
    if (self->state == NULL) return -1;
    Py_XSETREF(self->template, PyDict_Copy(scope));
    Py_XSETREF(self->keys, PyDict_New());
    if (self->template == NULL || self->keys == NULL || take_extensions(self) < 0 || py_scope_prepare(self) < 0) return -1;
    Py_XSETREF(self->root_path, Py_NewRef(root_path));
    Py_XSETREF(self->servers, PyTuple_New(0));
    if (self->servers == NULL) return -1;
    int32_t epoll_fd = -1;
    int64_t handle = saltare_open(&config, &epoll_fd);
    if (handle < 0) {
        py_raise_status(handle, "open");
        return -1;
    }
    self->handle = handle;
    self->epoll_fd = epoll_fd;
    self->state->cores++;
    return 0;
}

/* One listener: (descriptor, bound to a wildcard address?, scope["server"]), which is appended to servers. */
static int read_listener(PyObject *item, struct saltare_listener *listener, PyObject *servers)
{
    int fd, wildcard;
    PyObject *server;
    if (!PyTuple_Check(item)) {
        PyErr_Format(PyExc_TypeError, "listen() takes tuples, not %.100s", Py_TYPE(item)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(item, "ipO:listen", &fd, &wildcard, &server)) return -1;
    *listener = (struct saltare_listener){.fd = fd, .wildcard = wildcard != 0};
    return PyList_Append(servers, server);
}

static PyObject *core_listen(core *self, PyObject *listeners)
{
    if (usable(self, "listen") < 0) return NULL;
    PyObject *items = PySequence_Tuple(listeners);
    if (items == NULL) return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(items);
    PyObject *found = PyList_New(0), *servers = NULL;
    struct saltare_listener *list = PyMem_Calloc((size_t)n + 1, sizeof *list);
    bool ok = found != NULL && list != NULL;
    if (list == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; ok && i < n; i++) ok = read_listener(PyTuple_GET_ITEM(items, i), &list[i], found) == 0;
    if (ok) servers = PyList_AsTuple(found);
    int32_t status = servers ? saltare_listen(self->handle, list, (uint32_t)n) : 0;
    if (servers && status == 0) Py_SETREF(self->servers, Py_NewRef(servers));
    PyMem_Free(list);
    ok = servers != NULL;
    Py_XDECREF(found);
    Py_XDECREF(servers);
    Py_DECREF(items);
    if (!ok) return NULL;
    if (status < 0) return py_raise_status(status, "listen");
    Py_RETURN_NONE;
}

static PyObject *core_rest(core *self, PyObject *Py_UNUSED(ignored))
{
    return come_to_rest(self) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *core_again(core *self, PyObject *Py_UNUSED(ignored))
{
    self->lull_goes_on = true;
    return wake(self) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *core_drain(core *self, PyObject *Py_UNUSED(ignored))
{
    if (usable(self, "drain") < 0) return NULL;
    int32_t status = saltare_drain(self->handle);
    if (status < 0) return py_raise_status(status, "drain");
    return wake(self) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Gives up what is queued for slow peers. */
static void release_queued(core *self, int64_t handle)
{
    struct saltare_turn turn = {0};
    do {
        saltare_abandon(handle, &turn);
        for (uint32_t i = 0; i < turn.n_events; i++) {
            if (turn.events[i].kind == EVENT_RELEASE) release_body(self, turn.events[i].stream);
        }
    } while (turn.n_events > 0);
}

/* Gives back what commands hold that no turn will take. They are taken out first, since the end of a body may send. */
static void release_outbox(core *self, outbox *box)
{
    while (box->len > 0) {
        outbox taken = *box;
        struct saltare_command *command;
        *box = (outbox){0};
        for (size_t at = 0; (command = py_outbox_next(&taken, &at)) != NULL;) {
            const int kind = command->kind;
            /* A forked child may have the outbox of a turn under way, whose descriptors are the parent's affair. */
            if (kind == COMMAND_FILE && !py_forked()) py_file_close((struct saltare_file *)(command + 1));
            if (kind == COMMAND_BODY_REF || kind == COMMAND_WS_SEND_REF) release_body(self, ((struct saltare_body_ref *)(command + 1))->token);
        }
        py_outbox_free(&taken);
    }
    py_outbox_free(box);
}

/* Ends every exchange as if its peer had gone. */
static void end_exchanges(core *self)
{
    for (uint32_t slot = 0; slot < self->n_exchanges; slot++) {
        exchange *ex = self->exchanges[slot];
        if (ex == NULL) continue;
        Py_INCREF(ex);
        if (py_exchange_gone(ex) < 0) PyErr_WriteUnraisable((PyObject *)self);
        Py_DECREF(ex);
    }
}

static PyObject *core_close(core *self, PyObject *Py_UNUSED(ignored))
{
    int64_t handle = self->handle;
    if (handle == 0) Py_RETURN_NONE;
    if (self->polling && !py_forked()) {
        PyErr_SetString(PyExc_RuntimeError, "close() within poll()");
        return NULL;
    }
    self->handle = 0; /* first, so that for code that runs when exchanges end the core is closed */
    self->epoll_fd = -1;
    self->state->cores--;
    end_exchanges(self);
    if (!py_forked()) {
        release_queued(self, handle);
        saltare_close(handle);
    }
    release_outbox(self, &self->boxes[0]);
    release_outbox(self, &self->boxes[1]);
    Py_RETURN_NONE;
}

static PyObject *core_stats(core *self, PyObject *Py_UNUSED(ignored))
{
    struct saltare_stats s;
    if (usable(self, "stats") < 0) return NULL;
    int32_t status = saltare_stats(self->handle, &s);
    if (status < 0) return py_raise_status(status, "stats");
    return Py_BuildValue("{sKsKsKsKsKsKsKsK}", "connections", s.connections, "streams", s.streams, "requests", s.requests, "accepted", s.accepted,
                         "refused", s.refused, "buffers", s.buffers, "unsent", s.unsent, "panics", s.panics);
}

static int core_traverse(core *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (uint32_t i = 0; i < self->n_exchanges; i++) Py_VISIT(self->exchanges[i]);
    Py_VISIT(self->keys);
    Py_VISIT(self->servers);
    Py_VISIT(self->template);
    Py_VISIT(self->extensions);
    Py_VISIT(self->ws_template);
    Py_VISIT(self->ws_extensions);
    Py_VISIT(self->lifespan);
    Py_VISIT(self->dispatch);
    Py_VISIT(self->create_future);
    Py_VISIT(self->log);
    Py_VISIT(self->elsewhere);
    Py_VISIT(self->wake);
    Py_VISIT(self->on_lull);
    Py_VISIT(self->release);
    Py_VISIT(self->on_empty);
    Py_VISIT(self->on_retire);
    return 0;
}

static int core_clear(core *self)
{
    for (uint32_t i = 0; i < self->n_exchanges; i++) Py_CLEAR(self->exchanges[i]);
    Py_CLEAR(self->keys);
    Py_CLEAR(self->servers);
    Py_CLEAR(self->template);
    Py_CLEAR(self->extensions);
    Py_CLEAR(self->ws_template);
    Py_CLEAR(self->ws_extensions);
    Py_CLEAR(self->lifespan);
    Py_CLEAR(self->dispatch);
    Py_CLEAR(self->create_future);
    Py_CLEAR(self->log);
    Py_CLEAR(self->elsewhere);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->on_lull);
    Py_CLEAR(self->release);
    Py_CLEAR(self->on_empty);
    Py_CLEAR(self->on_retire);
    return 0;
}

/* Closing may run Python code that sees the object, so it is done here and not in dealloc (PEP 442). */
static void core_finalize(core *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *result = core_close(self, NULL);
    if (result == NULL) PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(result);
    PyErr_Restore(type, value, traceback);
}

static void core_dealloc(core *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) return;
    PyObject_GC_UnTrack(self);
    core_clear(self);
    Py_CLEAR(self->root_path);
    Py_CLEAR(self->host_text);
    PyMem_Free(self->exchanges);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef core_methods[] = {
    {"poll", (PyCFunction)(void (*)(void))core_poll, METH_FASTCALL,
     "poll(timeout=None) -> ready: one turn. Writes what the app sent, waits at most timeout seconds, dispatches requests.\n\n"
     "ready holds (key, mask) for every watched descriptor, as select() of a selector has it."},
    {"watch", (PyCFunction)core_watch, METH_VARARGS, "watch(fd, mask, key): reports fd by (key, mask) in poll(); mask as in selectors."},
    {"unwatch", (PyCFunction)core_unwatch, METH_O, "unwatch(fd): KeyError when it is not watched."},
    {"listen", (PyCFunction)core_listen, METH_O, "listen([(fd, is_wildcard, scope_server), ...]): accepts from bound, listening, non-blocking sockets."},
    {"again", (PyCFunction)core_again, METH_NOARGS, "again(): on_lull is called once more, in the next turn, which does not wait."},
    {"rest", (PyCFunction)core_rest, METH_NOARGS, "rest(): the server comes to rest, as in a lull: release is called before the next wait."},
    {"drain", (PyCFunction)core_drain, METH_NOARGS, "drain(): stops accepting; on_empty is called when the last connection is gone."},
    {"close", (PyCFunction)core_close, METH_NOARGS, "close(): ends everything at once; may be called again."},
    {"stats", (PyCFunction)core_stats, METH_NOARGS, "stats() -> dict of figures."},
    {NULL},
};

static PyMemberDef core_members[] = {
    {"dispatch", T_OBJECT, offsetof(core, dispatch), 0, "A Starter, or any dispatch(exchange, scope) that starts the app on a request."},
    {"state", T_OBJECT, offsetof(core, lifespan), 0, "dict of the lifespan; each scope has a copy."},
    {"create_future", T_OBJECT, offsetof(core, create_future), 0, "create_future of the loop."},
    {"log", T_OBJECT, offsetof(core, log), 0, "log(level, line): 1 debug, 2 error, 3 warning."},
    {"elsewhere", T_OBJECT, offsetof(core, elsewhere), 0, "elsewhere(send, message) -> awaitable: send() in a thread that does not poll."},
    {"wake", T_OBJECT, offsetof(core, wake), 0, "Of a guest: called when something is to be written out."},
    {"on_retire", T_OBJECT, offsetof(core, on_retire), 0, "on_retire(why): asks for this worker to be replaced. Called once."},
    {"on_lull", T_OBJECT, offsetof(core, on_lull), 0, "Called when the app has been silent for a while, within poll(), and after again()."},
    {"release", T_OBJECT, offsetof(core, release), 0, "Capsule of a C function, saltare._memory.RELEASE_BEFORE_WAIT."},
    {"on_empty", T_OBJECT, offsetof(core, on_empty), 0, "Called when a draining server has lost its last connection."},
    {"epoll_fd", T_INT, offsetof(core, epoll_fd), READONLY, "Readable when poll() has something to do."},
    {"more", T_BOOL, offsetof(core, more), READONLY, "The last turn left work for the next one."},
    {NULL},
};

static PyType_Slot core_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, core_init},
    {Py_tp_methods, core_methods},
    {Py_tp_members, core_members},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear},
    {Py_tp_finalize, core_finalize},
    {Py_tp_dealloc, core_dealloc},
    {0, NULL},
};

PyType_Spec py_core_spec = {
    .name = "saltare._core.Core",
    .basicsize = sizeof(core),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = core_slots,
};
