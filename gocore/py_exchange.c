/* type Exchange: one request in the app's hands; its receive() and send().  per request
 *
 * What is checked here is the shape of ASGI messages and their order. What an answer means on the wire (lengths, chunks,
 * HEAD, keep-alive) is decided in Go, http1/framing.go. */
#include "py_bridge.h"

#include <structmember.h>

#include <string.h>

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
    ex->body_over = ex->started = ex->complete = ex->gone = 0;
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

/* Enters a new future of the loop in *list and returns an awaitable for it. Those given up meanwhile are dropped. */
static PyObject *wait_in(exchange *ex, PyObject **list)
{
    if (*list == NULL && (*list = PyList_New(0)) == NULL) return NULL;
    PyObject *future = PyObject_CallNoArgs(ex->core->create_future);
    if (future == NULL) return NULL;
    PyObject *result = PyList_Append(*list, future) < 0 ? NULL : py_awaitable_future(ex->core->state, future);
    Py_DECREF(future);
    return result;
}

/* Takes the first future of the list that still waits: new reference, or NULL; *failed tells of an exception. */
static PyObject *next_waiting(module_state *st, PyObject *list, bool *failed)
{
    *failed = false;
    while (list != NULL && PyList_GET_SIZE(list) > 0) {
        PyObject *future = Py_NewRef(PyList_GET_ITEM(list, 0));
        PyObject *done = PyList_SetSlice(list, 0, 1, NULL) < 0 ? NULL : PyObject_CallMethodNoArgs(future, st->s_done);
        int is_done = done ? PyObject_IsTrue(done) : -1;
        Py_XDECREF(done);
        if (is_done == 0) return future;
        Py_DECREF(future);
        if (is_done < 0) {
            *failed = true;
            return NULL;
        }
    }
    return NULL;
}

/* Calls method(argument) of every future that waits. */
static int settle_all(module_state *st, PyObject *list, PyObject *method, PyObject *argument)
{
    bool failed;
    for (PyObject *future; (future = next_waiting(st, list, &failed)) != NULL;) {
        PyObject *result = PyObject_CallMethodOneArg(future, method, argument);
        Py_DECREF(future);
        if (result == NULL) return -1;
        Py_DECREF(result);
    }
    return failed ? -1 : 0;
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

/* The message for the first piece that came; it is taken off the list. */
static PyObject *take_piece(exchange *ex)
{
    PyObject *piece = Py_NewRef(PyList_GET_ITEM(ex->pieces, 0));
    PyObject *dict = NULL;
    if (PyList_GET_SIZE(ex->pieces) == 1) {
        Py_CLEAR(ex->pieces);
    } else if (PyList_SetSlice(ex->pieces, 0, 1, NULL) < 0) {
        goto done;
    }
    bool more = ex->body_open || ex->pieces != NULL;
    if (consumed(ex, PyBytes_GET_SIZE(piece)) < 0) goto done;
    ex->body_over = !more;
    dict = request_message(ex, piece, more);
done:
    Py_DECREF(piece);
    return dict;
}

static PyObject *exchange_receive(exchange *ex, PyObject *Py_UNUSED(ignored))
{
    module_state *st = ex->core->state;
    if (ex->pieces != NULL) return py_awaitable_done(st, take_piece(ex));
    if (ex->gone || ex->complete) return py_awaitable_done(st, message(st, st->s_http_disconnect));
    if (ex->expecting) {
        ex->expecting = 0;
        if (py_command(ex->core, COMMAND_CONTINUE, 0, 0, ex->stream, 0) == NULL) return NULL;
    }
    return wait_in(ex, &ex->receivers);
}

/* Gives the first piece to the first receive() that waits, as long as there are both. */
static int deliver(exchange *ex)
{
    module_state *st = ex->core->state;
    while (ex->pieces != NULL) {
        bool failed;
        PyObject *future = next_waiting(st, ex->receivers, &failed);
        if (future == NULL) return failed ? -1 : 0;
        PyObject *dict = take_piece(ex);
        PyObject *result = dict ? PyObject_CallMethodOneArg(future, st->s_set_result, dict) : NULL;
        Py_XDECREF(dict);
        Py_DECREF(future);
        if (result == NULL) return -1;
        Py_DECREF(result);
    }
    return 0;
}

int py_exchange_body(exchange *ex, const struct saltare_event *event)
{
    PyObject *piece = PyBytes_FromStringAndSize(event->data, (Py_ssize_t)event->len);
    if (piece == NULL) return -1;
    if (event->flags & EVENT_LAST) ex->body_open = 0;
    if (ex->pieces == NULL) ex->pieces = PyList_New(0);
    int status = ex->pieces ? PyList_Append(ex->pieces, piece) : -1;
    Py_DECREF(piece);
    return status < 0 ? -1 : deliver(ex);
}

int py_exchange_gone(exchange *ex)
{
    module_state *st = ex->core->state;
    ex->gone = 1;
    py_core_forget(ex->core, ex);
    if (ex->body_open) Py_CLEAR(ex->pieces); /* but a request that came whole can be read, whether or not its peer waits */
    PyObject *disconnect = message(st, st->s_http_disconnect);
    int status = disconnect ? settle_all(st, ex->receivers, st->s_set_result, disconnect) : -1;
    Py_XDECREF(disconnect);
    if (status < 0) return -1;
    PyObject *error = PyObject_CallNoArgs(st->disconnected);
    status = error ? settle_all(st, ex->senders, st->s_set_exception, error) : -1;
    Py_XDECREF(error);
    return status;
}

/* ---- send ----------------------------------------------------------------------------------------------------- */

/* Octets of field names (RFC 9110 5.6.2: tchar) and values (5.5: no controls but HTAB). */
static bool name_octet(uint8_t c)
{
    static const uint64_t set[4] = {0x03ff6cfa00000000u, 0x57ffffffc7fffffeu, 0, 0};
    return set[c >> 6] >> (c & 63) & 1;
}

static bool value_octet(uint8_t c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

/* A header's name or value: a bytes object, else an exception that says what was given instead. */
static int check_octets(PyObject *octets, const char *what, bool (*allowed)(uint8_t))
{
    if (!PyBytes_Check(octets)) {
        PyErr_Format(PyExc_TypeError, "http.response.start: header %s must be bytes, not %.100s: %R", what, Py_TYPE(octets)->tp_name, octets);
        return -1;
    }
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(octets), *end = p + PyBytes_GET_SIZE(octets);
    for (; p < end; p++) {
        if (!allowed(*p)) {
            PyErr_Format(PyExc_ValueError, "http.response.start: header %s has an octet that is not allowed (0x%02x): %R", what, *p, octets);
            return -1;
        }
    }
    return 0;
}

/* Adds one header, a tuple or list, to the payload of the start command at mark. Runs no Python code. */
static int add_header(exchange *ex, size_t mark, PyObject *pair)
{
    if (PySequence_Fast_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_ValueError, "http.response.start: a header has %zd items instead of name and value", PySequence_Fast_GET_SIZE(pair));
        return -1;
    }
    PyObject *name = PySequence_Fast_GET_ITEM(pair, 0), *value = PySequence_Fast_GET_ITEM(pair, 1);
    if (check_octets(name, "name", name_octet) < 0 || check_octets(value, "value", value_octet) < 0) return -1;
    if (PyBytes_GET_SIZE(name) == 0 || PyBytes_GET_SIZE(name) > INT32_MAX || PyBytes_GET_SIZE(value) > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "http.response.start: a header has an empty name, or is over 2 GiB");
        return -1;
    }
    uint32_t sizes[2] = {(uint32_t)PyBytes_GET_SIZE(name), (uint32_t)PyBytes_GET_SIZE(value)};
    uint8_t *at = py_command_extend(ex->core, mark, sizeof sizes + sizes[0] + sizes[1]);
    if (at == NULL) return -1;
    memcpy(at, sizes, sizeof sizes);
    memcpy(at + sizeof sizes, PyBytes_AS_STRING(name), sizes[0]);
    memcpy(at + sizeof sizes + sizes[0], PyBytes_AS_STRING(value), sizes[1]);
    return 0;
}

static bool is_pair(PyObject *item) { return PyTuple_Check(item) || PyList_Check(item); }

/* New reference to the headers as a list or tuple of lists or tuples, so that reading them runs no Python code. */
static PyObject *header_pairs(PyObject *headers)
{
    PyObject *items = PySequence_Fast(headers, "http.response.start: headers must be an iterable of pairs of bytes");
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

/* The start command with its fields, or nothing and -1 with an exception. */
static int put_start(exchange *ex, long status, PyObject *pairs)
{
    size_t mark = py_outbox_mark(ex->core);
    if (py_command(ex->core, COMMAND_START, 0, (uint32_t)status, ex->stream, 0) == NULL) return -1;
    for (Py_ssize_t i = 0; pairs != NULL && i < PySequence_Fast_GET_SIZE(pairs); i++) {
        if (add_header(ex, mark, PySequence_Fast_GET_ITEM(pairs, i)) < 0) {
            py_outbox_rewind(ex->core, mark);
            return -1;
        }
    }
    py_command_close(ex->core);
    return 0;
}

static PyObject *send_start(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    if (ex->started) {
        PyErr_SetString(PyExc_RuntimeError, "http.response.start was sent twice");
        return NULL;
    }
    PyObject *number = PyDict_GetItemWithError(message, st->s_status);
    if (number == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyError, "http.response.start: no status");
        return NULL;
    }
    long status = PyLong_AsLong(number);
    if (status == -1 && PyErr_Occurred()) return NULL;
    if (status < 200 || status > 999) {
        PyErr_Format(PyExc_ValueError, "http.response.start: status must be from 200 to 999, not %ld", status);
        return NULL;
    }
    PyObject *headers = PyDict_GetItemWithError(message, st->s_headers), *pairs = NULL;
    if (headers == NULL && PyErr_Occurred()) return NULL;
    if (headers != NULL && headers != Py_None && (pairs = header_pairs(headers)) == NULL) return NULL;
    int failed = put_start(ex, status, pairs);
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
        PyErr_Format(PyExc_TypeError, "http.response.body: body must be bytes, not %.100s", Py_TYPE(body)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) return -1;
    Py_ssize_t size = send_copied(ex, view.buf, view.len, flags) < 0 ? -1 : view.len;
    PyBuffer_Release(&view);
    return size;
}

static int is_true(PyObject *message, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(message, key);
    if (value == NULL) return PyErr_Occurred() ? -1 : 0;
    return value == Py_False ? 0 : value == Py_True ? 1 : PyObject_IsTrue(value);
}

static PyObject *send_body(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    if (!ex->started) {
        PyErr_SetString(PyExc_RuntimeError, "http.response.body was sent before http.response.start");
        return NULL;
    }
    PyObject *body = PyDict_GetItemWithError(message, st->s_body);
    if (body == NULL && PyErr_Occurred()) return NULL;
    int more = is_true(message, st->s_more_body);
    if (more < 0) return NULL;
    Py_ssize_t size = send_octets(ex, body ? body : st->empty_bytes, more ? COMMAND_MORE : 0);
    if (size < 0) return NULL;
    if (!more) {
        ex->complete = 1;
        Py_CLEAR(ex->pieces);
        PyObject *sent = Py_NewRef(st->sent);
        py_core_forget(ex->core, ex);
        return sent;
    }
    ex->window -= size;
    if (ex->window > 0) return Py_NewRef(st->sent);
    if (py_command(ex->core, COMMAND_NOTIFY, 0, 0, ex->stream, 0) == NULL) return NULL;
    return wait_in(ex, &ex->senders);
}

int py_exchange_drained(exchange *ex)
{
    ex->window = SALTARE_SEND_WINDOW;
    return settle_all(ex->core->state, ex->senders, ex->core->state->s_set_result, Py_None);
}

static bool is_kind(PyObject *type, const char *kind, Py_ssize_t len)
{
    return PyUnicode_IS_COMPACT_ASCII(type) && PyUnicode_GET_LENGTH(type) == len && memcmp(PyUnicode_1BYTE_DATA(type), kind, (size_t)len) == 0;
}

static PyObject *exchange_send(exchange *ex, PyObject *message)
{
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "send() takes a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    PyObject *type = PyDict_GetItemWithError(message, ex->core->state->s_type);
    if (type == NULL || !PyUnicode_Check(type)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "send(): the message has no type");
        return NULL;
    }
    if (ex->gone) {
        PyErr_SetNone(ex->core->state->disconnected);
        return NULL;
    }
    if (ex->complete) {
        PyErr_Format(PyExc_RuntimeError, "%U was sent after the answer was complete", type);
        return NULL;
    }
#define IS(kind) is_kind(type, kind, sizeof(kind) - 1)
    if (IS("http.response.body")) return send_body(ex, message);
    if (IS("http.response.start")) return send_start(ex, message);
#undef IS
    PyErr_Format(PyExc_ValueError, "send(): unknown message type %R for an HTTP request", type);
    return NULL;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

int py_exchange_fail(exchange *ex)
{
    if (ex->gone || ex->complete) return 0;
    if (py_command(ex->core, COMMAND_ABORT, 0, 0, ex->stream, 0) == NULL) return -1;
    ex->complete = 1;
    Py_CLEAR(ex->pieces);
    py_core_forget(ex->core, ex);
    return 0;
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
