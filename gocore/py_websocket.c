/* type WebSocket: a request for a websocket and the websocket itself, and its receive().
 *
 * It is an Exchange that may become a websocket. If the app denies it, it sends an ordinary response. Each message becomes one
 * object: a message in one piece is decoded in place, others are joined in a bytes object with room for the announced
 * length of their frames. */
#include "py_websocket_type.h"

#include <string.h>

#include "py_message.h"
#include "py_scope.h"

/* ---- waiting messages ------------------------------------------------------------------------------------------ */

#define MAILBOX_FIRST 8

static mail *letters(mailbox *box) { return box->more ? box->more : &box->one; }

/* Makes room after the last message. */
static int grow(mailbox *box)
{
    uint32_t cap = box->more ? 2 * box->cap : MAILBOX_FIRST;
    mail *more = PyMem_Malloc(cap * sizeof *more);
    if (more == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(more, letters(box) + box->first, box->n * sizeof *more);
    PyMem_Free(box->more);
    box->more = more;
    box->cap = cap;
    box->first = 0;
    return 0;
}

/* Steals the object, even on failure. */
static int post(mailbox *box, PyObject *object, Py_ssize_t cost)
{
    uint32_t cap = box->more ? box->cap : 1;
    if (box->first + box->n == cap && grow(box) < 0) {
        Py_DECREF(object);
        return -1;
    }
    letters(box)[box->first + box->n++] = (mail){object, cost};
    return 0;
}

/* Removes the first message; the caller owns its object. */
static void unpost(mailbox *box)
{
    box->first++;
    if (--box->n > 0) return;
    PyMem_Free(box->more);
    box->more = NULL;
    box->first = 0;
}

static void empty(mailbox *box)
{
    while (box->n > 0) {
        PyObject *object = letters(box)[box->first].object;
        unpost(box);
        Py_DECREF(object);
    }
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

exchange *py_websocket_new(loop *self, const struct saltare_event *event)
{
    PyObject *offered = py_subprotocols(event->data);
    websocket *ws = offered ? PyObject_GC_New(websocket, self->state->websocket_type) : NULL;
    if (ws == NULL) {
        Py_XDECREF(offered);
        return NULL;
    }
    py_exchange_init(&ws->ex, self, event);
    ws->box = (mailbox){0};
    ws->offered = offered;
    ws->reason = NULL;
    ws->partial = (gathered){0};
    ws->taken = 0;
    ws->code = WS_VANISHED;
    ws->connected = ws->accepted = 0;
    PyObject_GC_Track(ws);
    return &ws->ex;
}

void py_websocket_drop(exchange *ex)
{
    websocket *ws = (websocket *)ex;
    empty(&ws->box);
    py_gathered_drop(&ws->partial);
    Py_CLEAR(ws->offered);
    Py_CLEAR(ws->reason);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static PyObject *object_of(const struct saltare_event *event, const char *data, Py_ssize_t size)
{
    return event->flags & EVENT_TEXT ? PyUnicode_DecodeUTF8(data, size, NULL) : PyBytes_FromStringAndSize(data, size);
}

/* The joined message; the buffer is dropped. */
static PyObject *whole(websocket *ws, const struct saltare_event *event)
{
    PyObject *bytes = ws->partial.bytes;
    Py_ssize_t size = ws->partial.filled;
    ws->partial = (gathered){0};
    if (!(event->flags & EVENT_TEXT)) {
        if (PyBytes_GET_SIZE(bytes) != size) _PyBytes_Resize(&bytes, size);
        return bytes;
    }
    PyObject *text = object_of(event, PyBytes_AS_STRING(bytes), size);
    Py_DECREF(bytes);
    return text;
}

/* Takes a piece; the last one completes a waiting message. */
static int take(websocket *ws, const struct saltare_event *event)
{
    Py_ssize_t size = (Py_ssize_t)event->len;
    bool last = event->flags & EVENT_LAST, alone = ws->partial.bytes == NULL && last;
    if (!alone && py_gathered_add(&ws->partial, event->data, size) < 0) return -1;
    if (!last) return 0;
    Py_ssize_t all = alone ? size : ws->partial.filled;
    PyObject *object = alone ? object_of(event, event->data, size) : whole(ws, event);
    return object ? post(&ws->box, object, all + SALTARE_WS_COST) : -1;
}

static int on_expect(websocket *ws, const struct saltare_event *event)
{
    if (py_gathered_reserve(&ws->partial, (Py_ssize_t)event->len) == 0) return 0;
    py_exchange_give_up(&ws->ex);
    return -1;
}

static int on_data(websocket *ws, const struct saltare_event *event)
{
    if (take(ws, event) < 0) {
        py_exchange_give_up(&ws->ex);
        return -1;
    }
    return event->flags & EVENT_LAST ? py_exchange_wake_receivers(&ws->ex) : 0;
}

static int on_closed(websocket *ws, const struct saltare_event *event)
{
    ws->code = (uint16_t)event->flags;
    py_gathered_drop(&ws->partial);
    Py_XSETREF(ws->reason, PyUnicode_DecodeUTF8(event->data, (Py_ssize_t)event->len, NULL));
    bool failed = ws->reason == NULL;
    return py_exchange_gone(&ws->ex) < 0 || failed ? -1 : 0;
}

int py_websocket_event(exchange *ex, const struct saltare_event *event)
{
    if (!py_is_websocket(ex)) return 0;
    websocket *ws = (websocket *)ex;
    switch (event->kind) {
    case EVENT_WS_DATA: return on_data(ws, event);
    case EVENT_WS_EXPECT: return on_expect(ws, event);
    default: return on_closed(ws, event);
    }
}

/* ---- receive --------------------------------------------------------------------------------------------------- */

/* What receive() can return now. */
typedef enum { NOTHING, CONNECT, MESSAGE, DISCONNECT } having;

static having having_of(websocket *ws)
{
    if (!ws->connected) return CONNECT;
    if (ws->box.n > 0) return MESSAGE;
    return ws->ex.gone || ws->ex.complete ? DISCONNECT : NOTHING;
}

/* These fill in a message. Its dict is new, so no Python code runs. -1 with an exception. */

/* The first waiting message; on failure it stays. */
static int take_message(websocket *ws, PyObject *dict)
{
    exchange *ex = &ws->ex;
    module_state *st = py_state_in(ex);
    mail *first = letters(&ws->box) + ws->box.first;
    if (PyDict_SetItem(dict, PyUnicode_Check(first->object) ? st->s_text : st->s_bytes, first->object) < 0) return -1;
    Py_ssize_t taken = ws->taken + first->cost;
    if (taken >= SALTARE_WS_TAKEN && !ex->gone && !ex->complete) {
        uint32_t arg = taken > UINT32_MAX ? UINT32_MAX : (uint32_t)taken;
        if (py_command(ex->loop, COMMAND_CONSUMED, 0, arg, ex->stream, 0) == NULL) return -1;
        taken = 0;
    }
    ws->taken = taken;
    PyObject *object = first->object;
    unpost(&ws->box);
    Py_DECREF(object);
    return 0;
}

static int notify_end(websocket *ws, PyObject *dict)
{
    module_state *st = ws->ex.loop->state;
    PyObject *code = PyLong_FromLong(ws->code);
    int failed = code == NULL || PyDict_SetItem(dict, st->s_code, code) < 0 ||
                 PyDict_SetItem(dict, st->s_reason, ws->reason ? ws->reason : st->empty_text) < 0;
    Py_XDECREF(code);
    return failed ? -1 : 0;
}

/* The message for `what`. NULL, without an exception, if that has changed: creating the dict may have run any code. */
static PyObject *next_message(websocket *ws, having what)
{
    module_state *st = ws->ex.loop->state;
    PyObject *type = what == CONNECT ? st->s_websocket_connect : what == MESSAGE ? st->s_websocket_receive : st->s_websocket_disconnect;
    PyObject *dict = py_message(st, type);
    int status = 0;
    if (dict != NULL && having_of(ws) != what) Py_CLEAR(dict);
    if (dict == NULL) return NULL;
    if (what == CONNECT) ws->connected = 1;
    if (what == MESSAGE) status = take_message(ws, dict);
    if (what == DISCONNECT) status = notify_end(ws, dict);
    if (status < 0) Py_CLEAR(dict);
    return dict;
}

PySendResult py_websocket_received(exchange *ex, PyObject **result)
{
    websocket *ws = (websocket *)ex;
    for (;;) {
        having what = having_of(ws);
        if (what == NOTHING) {
            PySendResult status = py_exchange_wait(ex, &ex->receivers, result);
            if (status != PYGEN_NEXT || having_of(ws) == NOTHING) return status;
            Py_CLEAR(*result); /* it came while the future was created */
        } else if ((*result = next_message(ws, what)) != NULL || PyErr_Occurred()) {
            break;
        }
    }
    if (*result != NULL && py_loop_wake(ex->loop) < 0) Py_CLEAR(*result);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* ---- close ----------------------------------------------------------------------------------------------------- */

int py_websocket_close(websocket *ws, uint16_t code, PyObject *reason)
{
    exchange *ex = &ws->ex;
    Py_ssize_t size = 0;
    const char *text = reason ? PyUnicode_AsUTF8AndSize(reason, &size) : NULL;
    if (reason != NULL && text == NULL) return -1;
    uint8_t *at = py_command(ex->loop, COMMAND_WS_CLOSE, 0, code, ex->stream, (size_t)size);
    if (at == NULL) return -1;
    if (size > 0) memcpy(at, text, (size_t)size);
    if (ws->accepted) ws->code = code;
    empty(&ws->box);
    py_gathered_drop(&ws->partial);
    PyObject *before = ws->reason; /* from the app, possibly of a subclass */
    ws->reason = Py_XNewRef(reason);
    int status = py_exchange_complete(ex);
    Py_XDECREF(before);
    return status < 0 ? -1 : py_loop_wake(ex->loop);
}

int py_websocket_returned(exchange *ex)
{
    websocket *ws = (websocket *)ex;
    if (!py_is_websocket(ex) || !ws->accepted || py_exchange_is_over(ex)) return 0;
    return py_websocket_close(ws, WS_NORMAL, NULL) < 0 ? -1 : 1;
}

PyType_Spec py_websocket_spec = {
    .name = SALTARE_MODULE ".WebSocket",
    .basicsize = sizeof(websocket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = py_exchange_slots,
};
