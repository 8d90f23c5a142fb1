/* type Exchange: one request that the app handles, and its receive(). Its send() is in py_send.c. */
#include "py_exchange_type.h"

#include <structmember.h>

#include "py_awaitable.h"
#include "py_hook.h"
#include "py_message.h"

/* ---- life ----------------------------------------------------------------------------------------------------- */

void py_exchange_init(exchange *ex, loop *self, const struct saltare_event *event)
{
    ex->loop = (loop *)Py_NewRef(self);
    ex->stream = event->stream;
    ex->body = (gathered){0};
    ex->cost = 0;
    ex->receivers = ex->senders = NULL;
    ex->window = ex->most = SALTARE_SEND_WINDOW;
    ex->body_open = !(event->flags & EVENT_LAST);
    ex->expecting = (event->flags & EVENT_CONTINUE) != 0;
    ex->silent = (event->flags & EVENT_SILENT) != 0;
    ex->declared = -1;
    ex->sent = 0;
    ex->status = 0;
    ex->started = ex->trailers = ex->body_over = ex->complete = ex->gone = ex->half_closed = 0;
    ex->ignored = 0;
    self->state->exchanges++;
}

/* Joins a new piece to the waiting body, so that many tiny pieces do not become many messages. */
static int add_piece(exchange *ex, const void *data, Py_ssize_t size)
{
    ex->cost += size + SALTARE_PIECE_COST;
    return py_gathered_add(&ex->body, data, size);
}

exchange *py_exchange_new(loop *self, const struct saltare_event *event)
{
    const struct saltare_request *request = event->data;
    exchange *ex = PyObject_GC_New(exchange, self->state->exchange_type);
    if (ex == NULL) return NULL;
    py_exchange_init(ex, self, event);
    PyObject_GC_Track(ex);
    if ((request->body_len > 0 || !ex->body_open) && add_piece(ex, request->body, request->body_len) < 0) Py_CLEAR(ex);
    return ex;
}

static int exchange_traverse(exchange *ex, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(ex));
    Py_VISIT(ex->loop);
    Py_VISIT(ex->receivers);
    Py_VISIT(ex->senders);
    return 0;
}

static int exchange_clear(exchange *ex)
{
    py_gathered_drop(&ex->body);
    Py_CLEAR(ex->receivers);
    Py_CLEAR(ex->senders);
    return 0;
}

static void exchange_dealloc(exchange *ex)
{
    PyTypeObject *type = Py_TYPE(ex);
    PyObject_GC_UnTrack(ex);
    exchange_clear(ex);
    if (py_is_websocket(ex)) py_websocket_drop(ex);
    py_state_in(ex)->exchanges--;
    Py_DECREF(ex->loop);
    PyObject_GC_Del(ex);
    Py_DECREF(type);
}

/* ---- futures that wait ---------------------------------------------------------------------------------------- */

/* 1: the future is pending; -1 with an exception. */
static int is_waiting(module_state *st, PyObject *future)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, st->s_done);
    int is_done = done ? PyObject_IsTrue(done) : -1;
    Py_XDECREF(done);
    return is_done < 0 ? -1 : !is_done;
}

/* Drops cancelled futures, so that repeated receive() or send() with a timeout does not accumulate them. */
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

PySendResult py_exchange_wait(exchange *ex, PyObject **list, PyObject **result)
{
    PyObject *futures = *list ? Py_NewRef(*list) : PyList_New(0);
    *result = NULL;
    if (futures != NULL && drop_done(py_state_in(ex), futures) == 0) {
        *result = py_call_hook(ex->loop->create_future, "create_future", NULL, 0);
        if (*result != NULL && PyList_Append(futures, *result) < 0) Py_CLEAR(*result);
    }
    if (*result != NULL) Py_XSETREF(*list, Py_NewRef(futures));
    Py_XDECREF(futures);
    return *result ? PYGEN_NEXT : PYGEN_ERROR;
}

/* Wakes every future in *list. Empties *list first, since a woken task may wait again. */
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

int py_exchange_wake_receivers(exchange *ex) { return wake_all(py_state_in(ex), &ex->receivers); }

/* The exchange is over: ends every wait. */
static int end(exchange *ex)
{
    py_exchange_forget(ex);
    int receivers = wake_all(py_state_in(ex), &ex->receivers);
    return receivers < 0 ? -1 : wake_all(py_state_in(ex), &ex->senders);
}

/* ---- receive -------------------------------------------------------------------------------------------------- */

/* Reports to Go what the app has received, unless the whole body has been received. */
static int consumed(exchange *ex, Py_ssize_t cost)
{
    if (!ex->body_open || ex->gone || cost == 0) return 0;
    return py_command(ex->loop, COMMAND_CONSUMED, 0, (uint32_t)cost, ex->stream, 0) ? 0 : -1;
}

/* Moves the waiting body into the message; on failure it stays in the exchange. Runs no Python code: the dict is new, and its
 * values are bytes and bool. */
static int take_body(exchange *ex, PyObject *dict)
{
    module_state *st = py_state_in(ex);
    PyObject *bytes = py_gathered_take(&ex->body);
    if (bytes == NULL) return -1;
    if (PyDict_SetItem(dict, st->s_body, bytes) < 0 || PyDict_SetItem(dict, st->s_more_body, ex->body_open ? Py_True : Py_False) < 0 ||
        consumed(ex, ex->cost) < 0) {
        ex->body = (gathered){bytes, PyBytes_GET_SIZE(bytes)};
        return -1;
    }
    ex->cost = 0;
    Py_DECREF(bytes);
    return 0;
}

static bool is_over(exchange *ex) { return ex->gone || ex->half_closed || ex->complete; }

static bool has_body(exchange *ex) { return ex->body.bytes != NULL; }

/* The next message. NULL, without an exception, if it is gone: creating the dict may have run any code. */
static PyObject *next_message(exchange *ex)
{
    module_state *st = py_state_in(ex);
    if (!has_body(ex)) return py_message(st, st->s_http_disconnect);
    PyObject *dict = py_message(st, st->s_http_request);
    if (dict != NULL && (!has_body(ex) || take_body(ex, dict) < 0)) Py_CLEAR(dict);
    return dict;
}

/* The app waits for a body of which nothing has arrived: sends 100 Continue if the peer expects it. -1 with an exception. */
static int ask_for_body(exchange *ex)
{
    if (has_body(ex) || is_over(ex)) return 0;
    if (ex->expecting && py_command(ex->loop, COMMAND_CONTINUE, 0, 0, ex->stream, 0) == NULL) return -1;
    ex->expecting = 0;
    return py_loop_wake(ex->loop);
}

/* The outcome of receive(). */
static PySendResult received(exchange *ex, PyObject **result)
{
    if (ask_for_body(ex) < 0) return PYGEN_ERROR;
    for (;;) {
        bool ready = has_body(ex) || is_over(ex);
        if (!ready) {
            PySendResult status = py_exchange_wait(ex, &ex->receivers, result);
            if (status != PYGEN_NEXT || (!has_body(ex) && !is_over(ex))) return status;
            Py_CLEAR(*result); /* it came while the future was created */
        } else if ((*result = next_message(ex)) != NULL || PyErr_Occurred()) {
            break;
        }
    }
    if (*result != NULL && py_loop_wake(ex->loop) < 0) Py_CLEAR(*result);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static PyObject *exchange_receive(exchange *ex, PyObject *Py_UNUSED(ignored))
{
    return py_awaitable_new(py_state_in(ex), ex, py_is_websocket(ex) ? py_websocket_received : received);
}

/* The app must not mistake a body with missing bytes for a complete one. */
void py_exchange_give_up(exchange *ex)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (py_command(ex->loop, COMMAND_ABORT, 0, 0, ex->stream, 0) == NULL) PyErr_Clear();
    if (py_exchange_gone(ex) < 0) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

static int body(exchange *ex, const struct saltare_event *event)
{
    if (add_piece(ex, event->data, (Py_ssize_t)event->len) < 0) {
        py_exchange_give_up(ex);
        return -1;
    }
    if (event->flags & EVENT_LAST) ex->body_open = 0;
    return py_exchange_wake_receivers(ex);
}

static int half_closed(exchange *ex)
{
    ex->half_closed = 1;
    return py_exchange_wake_receivers(ex);
}

int py_exchange_gone(exchange *ex)
{
    ex->gone = 1;
    if (ex->body_open) py_gathered_drop(&ex->body); /* a complete request can still be read */
    return end(ex);
}

/* ---- the end of the response ------------------------------------------------------------------------------------------------ */

static int drained(exchange *ex)
{
    ex->window = ex->most;
    return wake_all(py_state_in(ex), &ex->senders);
}

int py_exchange_complete(exchange *ex)
{
    ex->complete = 1;
    py_gathered_drop(&ex->body);
    return end(ex);
}

int py_exchange_fail(exchange *ex)
{
    if (ex->gone || ex->complete) return 0;
    if (py_command(ex->loop, COMMAND_ABORT, 0, 0, ex->stream, 0) == NULL) return -1;
    return py_exchange_complete(ex) < 0 ? -1 : py_loop_wake(ex->loop);
}

bool py_exchange_is_over(const exchange *ex) { return ex->complete || ex->gone; }

int py_exchange_event(exchange *ex, const struct saltare_event *event)
{
    switch (event->kind) {
    case EVENT_BODY: return body(ex, event);
    case EVENT_DRAINED: return drained(ex);
    case EVENT_HALF_CLOSE: return half_closed(ex);
    default: return py_exchange_gone(ex);
    }
}

static PyObject *exchange_fail(exchange *ex, PyObject *Py_UNUSED(ignored))
{
    if (py_exchange_fail(ex) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef exchange_methods[] = {
    {"receive", (PyCFunction)exchange_receive, METH_NOARGS, "receive() -> awaitable of the next ASGI message."},
    {"send", (PyCFunction)py_exchange_send, METH_O, "send(message) -> awaitable; raises ClientDisconnected when the peer has gone."},
    {"fail", (PyCFunction)exchange_fail, METH_NOARGS,
     "fail(): the app is over without a complete response. 500 if nothing was sent, else the connection ends. Nothing when complete or gone."},
    {NULL},
};

PyObject *py_exchange_receive_method(exchange *ex) { return PyCFunction_New(&exchange_methods[0], (PyObject *)ex); }

PyObject *py_exchange_send_method(exchange *ex) { return PyCFunction_New(&exchange_methods[1], (PyObject *)ex); }

static PyMemberDef exchange_members[] = {
    {"started", T_BOOL, offsetof(exchange, started), READONLY, "The response has begun."},
    {"complete", T_BOOL, offsetof(exchange, complete), READONLY, "The response is complete, or abandoned by fail()."},
    {"gone", T_BOOL, offsetof(exchange, gone), READONLY, "The peer has gone."},
    {"half_closed", T_BOOL, offsetof(exchange, half_closed), READONLY, "receive() gives a disconnect, though the peer may be there."},
    {NULL},
};

PyType_Slot py_exchange_slots[] = {
    {Py_tp_methods, exchange_methods},
    {Py_tp_members, exchange_members},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_dealloc, exchange_dealloc},
    {0, NULL},
};

PyType_Spec py_exchange_spec = {
    .name = SALTARE_MODULE ".Exchange",
    .basicsize = sizeof(exchange),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = py_exchange_slots,
};
