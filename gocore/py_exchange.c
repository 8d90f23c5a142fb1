/* type Exchange: one request in the app's hands; its receive() and send().  per request
 *
 * What is checked here is the shape of ASGI messages and their order. What an answer means on the wire (lengths, chunks,
 * HEAD, keep-alive) is decided in Go, http1/framing.go. */
#include "py_bridge.h"

#include <structmember.h>

#include <string.h>

#define START "http.response.start"
#define BODY "http.response.body"

/* ---- life ----------------------------------------------------------------------------------------------------- */

exchange *py_exchange_new(core *self, const struct saltare_event *event)
{
    const struct saltare_request *request = event->data;
    exchange *ex = PyObject_GC_New(exchange, self->state->exchange_type);
    if (ex == NULL) return NULL;
    ex->core = (core *)Py_NewRef(self);
    ex->stream = event->stream;
    ex->pieces = ex->receivers = ex->senders = NULL;
    ex->window = SALTARE_SEND_WINDOW;
    ex->body_open = !(event->flags & EVENT_LAST);
    ex->expecting = (event->flags & EVENT_CONTINUE) != 0;
    ex->started = ex->complete = ex->gone = 0;
    self->state->exchanges++;
    PyObject_GC_Track(ex);
    if (request->body_len > 0 || !ex->body_open) {
        PyObject *piece = PyBytes_FromStringAndSize((const char *)request->body, request->body_len);
        ex->pieces = piece ? PyList_New(1) : NULL;
        if (ex->pieces == NULL) {
            Py_XDECREF(piece);
            Py_DECREF(ex);
            return NULL;
        }
        PyList_SET_ITEM(ex->pieces, 0, piece);
    }
    return ex;
}

static int exchange_traverse(exchange *ex, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(ex));
    Py_VISIT(ex->core);
    Py_VISIT(ex->pieces);
    Py_VISIT(ex->receivers);
    Py_VISIT(ex->senders);
    return 0;
}

static int exchange_clear(exchange *ex)
{
    Py_CLEAR(ex->pieces);
    Py_CLEAR(ex->receivers);
    Py_CLEAR(ex->senders);
    return 0;
}

static void exchange_dealloc(exchange *ex)
{
    PyTypeObject *type = Py_TYPE(ex);
    PyObject_GC_UnTrack(ex);
    exchange_clear(ex);
    ex->core->state->exchanges--;
    Py_DECREF(ex->core);
    PyObject_GC_Del(ex);
    Py_DECREF(type);
}

/* ---- futures that wait ---------------------------------------------------------------------------------------- */

/* 1: the future waits; -1 with an exception. */
static int is_waiting(module_state *st, PyObject *future)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, st->s_done);
    int is_done = done ? PyObject_IsTrue(done) : -1;
    Py_XDECREF(done);
    return is_done < 0 ? -1 : !is_done;
}

/* Drops the futures that were given up: who asks again and again with a timeout must not leave a trail of them. */
static int drop_done(module_state *st, PyObject *list)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list) - 1; i >= 0; i--) {
        if (i >= PyList_GET_SIZE(list)) continue;
        PyObject *future = Py_NewRef(PyList_GET_ITEM(list, i));
        int waiting = is_waiting(st, future);
        bool same = i < PyList_GET_SIZE(list) && PyList_GET_ITEM(list, i) == future;
        Py_DECREF(future);
        if (waiting < 0 || (!waiting && same && PyList_SetSlice(list, i, i + 1, NULL) < 0)) return -1;
    }
    return 0;
}

/* Enters a new future of the loop in *list. */
static PySendResult wait_in(exchange *ex, PyObject **list, PyObject **result)
{
    PyObject *futures = *list ? Py_NewRef(*list) : PyList_New(0);
    *result = NULL;
    if (futures != NULL && drop_done(ex->core->state, futures) == 0) {
        *result = py_call_hook(ex->core->create_future, "create_future", NULL, 0);
        if (*result != NULL && PyList_Append(futures, *result) < 0) Py_CLEAR(*result);
    }
    if (*result != NULL) Py_XSETREF(*list, Py_NewRef(futures));
    Py_XDECREF(futures);
    return *result ? PYGEN_NEXT : PYGEN_ERROR;
}

/* Ends the wait of every future in *list, which is emptied first, since those woken may wait again. */
static int wake_all(module_state *st, PyObject **list)
{
    PyObject *futures = *list;
    *list = NULL;
    int status = 0;
    for (Py_ssize_t i = 0; futures != NULL && status == 0 && i < PyList_GET_SIZE(futures); i++) {
        PyObject *future = Py_NewRef(PyList_GET_ITEM(futures, i));
        status = is_waiting(st, future);
        if (status > 0) {
            PyObject *result = PyObject_CallMethodOneArg(future, st->s_set_result, Py_None);
            status = result ? 0 : -1;
            Py_XDECREF(result);
        }
        Py_DECREF(future);
    }
    Py_XDECREF(futures);
    return status;
}

/* Nothing goes to the app or comes from it any more; whoever waits is told. */
static int end(exchange *ex)
{
    py_core_forget(ex->core, ex);
    int receivers = wake_all(ex->core->state, &ex->receivers);
    return receivers < 0 ? -1 : wake_all(ex->core->state, &ex->senders);
}

/* ---- receive -------------------------------------------------------------------------------------------------- */

static PyObject *message(module_state *st, PyObject *type)
{
    PyObject *dict = PyDict_New();
    if (dict != NULL && PyDict_SetItem(dict, st->s_type, type) < 0) Py_CLEAR(dict);
    return dict;
}

static PyObject *request_message(exchange *ex, PyObject *body, bool more)
{
    module_state *st = ex->core->state;
    PyObject *dict = message(st, st->s_http_request);
    if (dict == NULL) return NULL;
    if (PyDict_SetItem(dict, st->s_body, body) < 0 || PyDict_SetItem(dict, st->s_more_body, more ? Py_True : Py_False) < 0) {
        Py_DECREF(dict);
        return NULL;
    }
    return dict;
}

/* Tells Go that the app has taken size bytes, unless the body is read to its end. */
static int consumed(exchange *ex, Py_ssize_t size)
{
    if (!ex->body_open || ex->gone || size == 0) return 0;
    return py_command(ex->core, COMMAND_CONSUMED, 0, (uint32_t)size, ex->stream, 0) ? 0 : -1;
}

/* The message for the first piece that came; only when there is one is the piece taken off the list. */
static PyObject *take_piece(exchange *ex)
{
    PyObject *pieces = Py_NewRef(ex->pieces), *piece = Py_NewRef(PyList_GET_ITEM(pieces, 0));
    bool last = PyList_GET_SIZE(pieces) == 1;
    PyObject *dict = request_message(ex, piece, ex->body_open || !last);
    if (dict != NULL && (consumed(ex, PyBytes_GET_SIZE(piece)) < 0 || PyList_SetSlice(pieces, 0, 1, NULL) < 0)) Py_CLEAR(dict);
    if (dict != NULL && last && ex->pieces == pieces) Py_CLEAR(ex->pieces);
    Py_DECREF(pieces);
    Py_DECREF(piece);
    return dict;
}

/* The outcome of receive(). */
static PySendResult received(exchange *ex, PyObject **result)
{
    module_state *st = ex->core->state;
    if (ex->pieces != NULL) {
        *result = take_piece(ex);
    } else if (ex->gone || ex->complete) {
        *result = message(st, st->s_http_disconnect);
    } else {
        if (ex->expecting && py_command(ex->core, COMMAND_CONTINUE, 0, 0, ex->stream, 0) == NULL) return PYGEN_ERROR;
        ex->expecting = 0;
        return py_core_wake(ex->core) < 0 ? PYGEN_ERROR : wait_in(ex, &ex->receivers, result);
    }
    if (*result != NULL && py_core_wake(ex->core) < 0) Py_CLEAR(*result);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static PyObject *exchange_receive(exchange *ex, PyObject *Py_UNUSED(ignored)) { return py_awaitable_new(ex, received); }

static int add_piece(exchange *ex, const struct saltare_event *event)
{
    PyObject *piece = PyBytes_FromStringAndSize(event->data, (Py_ssize_t)event->len);
    if (piece == NULL) return -1;
    if (ex->pieces == NULL) ex->pieces = PyList_New(0);
    int status = ex->pieces ? PyList_Append(ex->pieces, piece) : -1;
    Py_DECREF(piece);
    return status;
}

/* The app must not take a body with a hole in it for a whole one: to both sides the other is gone. */
static void give_up(exchange *ex)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (py_command(ex->core, COMMAND_ABORT, 0, 0, ex->stream, 0) == NULL) PyErr_Clear();
    if (py_exchange_gone(ex) < 0) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

int py_exchange_body(exchange *ex, const struct saltare_event *event)
{
    if (add_piece(ex, event) < 0) {
        give_up(ex);
        return -1;
    }
    if (event->flags & EVENT_LAST) ex->body_open = 0;
    return wake_all(ex->core->state, &ex->receivers);
}

int py_exchange_gone(exchange *ex)
{
    ex->gone = 1;
    if (ex->body_open) Py_CLEAR(ex->pieces); /* but a request that came whole can be read, whether or not its peer waits */
    return end(ex);
}

/* ---- send ----------------------------------------------------------------------------------------------------- */

/* Octets that may stand in a field's name (RFC 9110 5.6.2: tchar) and in its value (5.5: no controls but HTAB). */
enum { IN_VALUE = 1, IN_NAME = 2, IN_BOTH = 3 };

static const uint8_t octets_of[256] = {
    ['\t'] = IN_VALUE,        [' '] = IN_VALUE,         ['!'] = IN_BOTH,  ['"'] = IN_VALUE,         ['#'... '\''] = IN_BOTH,
    ['('... ')'] = IN_VALUE,  ['*'... '+'] = IN_BOTH,   [','] = IN_VALUE, ['-'... '.'] = IN_BOTH,   ['/'] = IN_VALUE,
    ['0'... '9'] = IN_BOTH,   [':'... '@'] = IN_VALUE,  ['A'... 'Z'] = IN_BOTH, ['['... ']'] = IN_VALUE, ['^'... 'z'] = IN_BOTH,
    ['{'] = IN_VALUE,         ['|'] = IN_BOTH,          ['}'] = IN_VALUE, ['~'] = IN_BOTH,          [0x80 ... 0xff] = IN_VALUE,
};

/* A header's name or value: a bytes object, else an exception that says what was given instead. */
static int check_octets(PyObject *octets, const char *what, uint8_t allowed)
{
    if (!PyBytes_Check(octets)) {
        PyErr_Format(PyExc_TypeError, START ": header %s must be bytes, not %.100s: %R", what, Py_TYPE(octets)->tp_name, octets);
        return -1;
    }
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(octets), *end = p + PyBytes_GET_SIZE(octets);
    while (p < end && octets_of[*p] & allowed) p++;
    if (p == end) return 0;
    PyErr_Format(PyExc_ValueError, START ": header %s has an octet that is not allowed (0x%02x): %R", what, *p, octets);
    return -1;
}

/* How much of a start command's payload a header takes, a tuple or list; -1 with an exception when it is none. */
static Py_ssize_t header_size(PyObject *pair)
{
    if (PySequence_Fast_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_ValueError, START ": a header has %zd items instead of name and value", PySequence_Fast_GET_SIZE(pair));
        return -1;
    }
    PyObject *name = PySequence_Fast_GET_ITEM(pair, 0), *value = PySequence_Fast_GET_ITEM(pair, 1);
    if (check_octets(name, "name", IN_NAME) < 0 || check_octets(value, "value", IN_VALUE) < 0) return -1;
    if (PyBytes_GET_SIZE(name) == 0 || PyBytes_GET_SIZE(name) > INT32_MAX || PyBytes_GET_SIZE(value) > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, START ": a header has an empty name, or is over 2 GiB");
        return -1;
    }
    return (Py_ssize_t)(2 * sizeof(uint32_t)) + PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value);
}

/* Writes a header that header_size has seen; returns where the next one goes. */
static uint8_t *put_header(uint8_t *at, PyObject *pair)
{
    PyObject *name = PySequence_Fast_GET_ITEM(pair, 0), *value = PySequence_Fast_GET_ITEM(pair, 1);
    uint32_t sizes[2] = {(uint32_t)PyBytes_GET_SIZE(name), (uint32_t)PyBytes_GET_SIZE(value)};
    memcpy(at, sizes, sizeof sizes);
    memcpy(at + sizeof sizes, PyBytes_AS_STRING(name), sizes[0]);
    memcpy(at + sizeof sizes + sizes[0], PyBytes_AS_STRING(value), sizes[1]);
    return at + sizeof sizes + sizes[0] + sizes[1];
}

static bool is_pair(PyObject *item) { return PyTuple_Check(item) || PyList_Check(item); }

/* New reference to the headers as a list or tuple of lists or tuples, so that reading them runs no Python code. */
static PyObject *header_pairs(PyObject *headers)
{
    PyObject *items = PySequence_Fast(headers, START ": headers must be an iterable of pairs of bytes");
    Py_ssize_t plain = 0;
    while (items != NULL && plain < PySequence_Fast_GET_SIZE(items) && is_pair(PySequence_Fast_GET_ITEM(items, plain))) plain++;
    if (items == NULL || plain == PySequence_Fast_GET_SIZE(items)) return items;
    PyObject *pairs = PySequence_Tuple(items);
    Py_DECREF(items);
    PyObject *result = pairs ? PyList_New(PyTuple_GET_SIZE(pairs)) : NULL;
    for (Py_ssize_t i = 0; result != NULL && i < PyTuple_GET_SIZE(pairs); i++) {
        PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(pairs, i));
        if (pair == NULL) {
            Py_CLEAR(result);
        } else {
            PyList_SET_ITEM(result, i, pair);
        }
    }
    Py_XDECREF(pairs);
    return result;
}

/* The start command with its fields, or nothing and -1 with an exception. Runs Python code only to refuse a header. */
static int put_start(exchange *ex, long status, PyObject *pairs)
{
    Py_ssize_t n = pairs ? PySequence_Fast_GET_SIZE(pairs) : 0, total = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_ssize_t size = header_size(PySequence_Fast_GET_ITEM(pairs, i));
        if (size < 0) return -1;
        total += size;
    }
    uint8_t *at = py_command(ex->core, COMMAND_START, 0, (uint32_t)status, ex->stream, (size_t)total);
    if (at == NULL) return -1;
    for (Py_ssize_t i = 0; i < n; i++) at = put_header(at, PySequence_Fast_GET_ITEM(pairs, i));
    return 0;
}

/* New reference to an item of the message, which is held because whoever looks at it may change the message. NULL without
 * exception when there is none. */
static PyObject *item_of(PyObject *message, PyObject *key) { return Py_XNewRef(PyDict_GetItemWithError(message, key)); }

/* The status of a start message, or -1 with an exception. */
static long status_of(module_state *st, PyObject *message)
{
    PyObject *number = item_of(message, st->s_status);
    if (number == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyError, START ": no status");
        return -1;
    }
    long status = PyLong_AsLong(number);
    Py_DECREF(number);
    if (status == -1 && PyErr_Occurred()) return -1;
    if (status >= 200 && status <= 999) return status;
    PyErr_Format(PyExc_ValueError, START ": status must be from 200 to 999, not %ld", status);
    return -1;
}

/* Whether an answer may still be sent; -1 with an exception. Asked again after the app's objects were looked at, since
 * that may run any code. */
static int check_open(exchange *ex, const char *kind)
{
    if (ex->gone) {
        PyErr_SetNone(ex->core->state->disconnected);
        return -1;
    }
    if (!ex->complete) return 0;
    PyErr_Format(PyExc_RuntimeError, "%s was sent after the answer was complete", kind);
    return -1;
}

static PyObject *send_start(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    long status = status_of(st, message);
    if (status < 0) return NULL;
    PyObject *headers = item_of(message, st->s_headers), *pairs = NULL;
    if (headers == NULL && PyErr_Occurred()) return NULL;
    if (headers != NULL && headers != Py_None) pairs = header_pairs(headers);
    int failed = headers != NULL && headers != Py_None && pairs == NULL ? -1 : check_open(ex, START);
    if (failed == 0 && ex->started) {
        PyErr_SetString(PyExc_RuntimeError, START " was sent twice");
        failed = -1;
    }
    if (failed == 0) failed = put_start(ex, status, pairs);
    Py_XDECREF(headers);
    Py_XDECREF(pairs);
    if (failed < 0) return NULL;
    ex->started = 1;
    return Py_NewRef(st->sent);
}

/* Hands over a bytes object that Go writes from; it is kept alive until EVENT_RELEASE. */
static int send_borrowed(exchange *ex, PyObject *body, int flags)
{
    uint8_t *at = py_command(ex->core, COMMAND_BODY_REF, flags, 0, ex->stream, sizeof(struct saltare_body_ref));
    if (at == NULL) return -1;
    *(struct saltare_body_ref *)at = (struct saltare_body_ref){
        .ptr = PyBytes_AS_STRING(body), .len = (uint64_t)PyBytes_GET_SIZE(body), .token = (uint64_t)(uintptr_t)Py_NewRef(body)};
    ex->core->state->borrowed++;
    ex->core->borrowed++;
    return 0;
}

static int send_copied(exchange *ex, const void *bytes, Py_ssize_t size, int flags)
{
    uint8_t *at = py_command(ex->core, COMMAND_BODY, flags, 0, ex->stream, (size_t)size);
    if (at == NULL) return -1;
    if (size > 0) memcpy(at, bytes, (size_t)size);
    return 0;
}

/* Sends body, which may be any contiguous buffer, and returns its size; -1 with an exception. */
static Py_ssize_t send_octets(exchange *ex, PyObject *body, int flags)
{
    if (PyBytes_CheckExact(body)) {
        Py_ssize_t size = PyBytes_GET_SIZE(body);
        int status = size > SALTARE_INLINE ? send_borrowed(ex, body, flags) : send_copied(ex, PyBytes_AS_STRING(body), size, flags);
        return status < 0 ? -1 : size;
    }
    Py_buffer view;
    if (!PyObject_CheckBuffer(body)) {
        PyErr_Format(PyExc_TypeError, BODY ": body must be bytes, not %.100s", Py_TYPE(body)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) return -1;
    Py_ssize_t size = send_copied(ex, view.buf, view.len, flags) < 0 ? -1 : view.len;
    PyBuffer_Release(&view);
    return size;
}

static int is_true(PyObject *message, PyObject *key)
{
    PyObject *value = item_of(message, key);
    int truth = value == NULL ? (PyErr_Occurred() ? -1 : 0) : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return truth;
}

/* The outcome of a send() that waits. */
static PySendResult drained(exchange *ex, PyObject **result)
{
    if (ex->gone) {
        PyErr_SetNone(ex->core->state->disconnected);
        return PYGEN_ERROR;
    }
    if (!ex->complete && ex->window <= 0) return wait_in(ex, &ex->senders, result);
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *send_body(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    if (!ex->started) {
        PyErr_SetString(PyExc_RuntimeError, BODY " was sent before " START);
        return NULL;
    }
    PyObject *body = item_of(message, st->s_body);
    if (body == NULL && PyErr_Occurred()) return NULL;
    int more = is_true(message, st->s_more_body);
    Py_ssize_t size = -1;
    if (more >= 0 && check_open(ex, BODY) == 0) size = send_octets(ex, body ? body : st->empty_bytes, more ? COMMAND_MORE : 0);
    Py_XDECREF(body);
    if (size < 0) return NULL;
    if (!more) {
        ex->complete = 1;
        Py_CLEAR(ex->pieces);
        return end(ex) < 0 ? NULL : Py_NewRef(st->sent);
    }
    ex->window -= size;
    if (ex->window > 0) return Py_NewRef(st->sent);
    if (py_command(ex->core, COMMAND_NOTIFY, 0, 0, ex->stream, 0) == NULL) return NULL;
    return py_awaitable_new(ex, drained);
}

int py_exchange_drained(exchange *ex)
{
    ex->window = SALTARE_SEND_WINDOW;
    return wake_all(ex->core->state, &ex->senders);
}

static bool is_kind(PyObject *type, const char *kind, Py_ssize_t len)
{
    if (!PyUnicode_IS_COMPACT_ASCII(type)) return PyUnicode_CompareWithASCIIString(type, kind) == 0; /* a subclass, such as a StrEnum */
    return PyUnicode_GET_LENGTH(type) == len && memcmp(PyUnicode_1BYTE_DATA(type), kind, (size_t)len) == 0;
}

/* send() in a thread that is not the loop's: as of a coroutine, nothing happens until the loop awaits it. */
static PyObject *send_elsewhere(exchange *ex, PyObject *message)
{
    PyObject *send = py_exchange_send_method(ex);
    PyObject *args[] = {send, message};
    PyObject *result = send ? py_call_hook(ex->core->elsewhere, "elsewhere", args, 2) : NULL;
    Py_XDECREF(send);
    return result;
}

static PyObject *exchange_send(exchange *ex, PyObject *message)
{
    if (ex->core->thread != PyThread_get_thread_ident() && ex->core->elsewhere != NULL) return send_elsewhere(ex, message);
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "send() takes a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    PyObject *type = PyDict_GetItemWithError(message, ex->core->state->s_type);
    if (type == NULL || !PyUnicode_Check(type)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "send(): the message has no type");
        return NULL;
    }
    bool is_body = is_kind(type, BODY, sizeof BODY - 1);
    if (!is_body && !is_kind(type, START, sizeof START - 1)) {
        PyErr_Format(PyExc_ValueError, "send(): unknown message type %R for an HTTP request", type);
        return NULL;
    }
    if (check_open(ex, is_body ? BODY : START) < 0) return NULL;
    PyObject *result = is_body ? send_body(ex, message) : send_start(ex, message);
    if (result != NULL && py_core_wake(ex->core) < 0) Py_CLEAR(result);
    return result;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

int py_exchange_fail(exchange *ex)
{
    if (ex->gone || ex->complete) return 0;
    if (py_command(ex->core, COMMAND_ABORT, 0, 0, ex->stream, 0) == NULL) return -1;
    ex->complete = 1;
    Py_CLEAR(ex->pieces);
    return end(ex) < 0 ? -1 : py_core_wake(ex->core);
}

static PyObject *exchange_fail(exchange *ex, PyObject *Py_UNUSED(ignored))
{
    if (py_exchange_fail(ex) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef exchange_methods[] = {
    {"receive", (PyCFunction)exchange_receive, METH_NOARGS, "receive() -> awaitable of the next ASGI message."},
    {"send", (PyCFunction)exchange_send, METH_O, "send(message) -> awaitable; raises ClientDisconnected when the peer has gone."},
    {"fail", (PyCFunction)exchange_fail, METH_NOARGS,
     "fail(): the app is over without a complete answer. 500 if nothing was sent, else the connection ends. Nothing when complete or gone."},
    {NULL},
};

PyObject *py_exchange_receive_method(exchange *ex) { return PyCFunction_New(&exchange_methods[0], (PyObject *)ex); }

PyObject *py_exchange_send_method(exchange *ex) { return PyCFunction_New(&exchange_methods[1], (PyObject *)ex); }

static PyMemberDef exchange_members[] = {
    {"started", T_BOOL, offsetof(exchange, started), READONLY, "The answer has begun."},
    {"complete", T_BOOL, offsetof(exchange, complete), READONLY, "The answer is complete, or given up by fail()."},
    {"gone", T_BOOL, offsetof(exchange, gone), READONLY, "The peer has gone."},
    {NULL},
};

static PyType_Slot exchange_slots[] = {
    {Py_tp_methods, exchange_methods},
    {Py_tp_members, exchange_members},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_dealloc, exchange_dealloc},
    {0, NULL},
};

PyType_Spec py_exchange_spec = {
    .name = "saltare._core.Exchange",
    .basicsize = sizeof(exchange),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = exchange_slots,
};
