/* send(): the body of a response, and its back-pressure. */
#include "py_send.h"

#include <string.h>

#include "py_awaitable.h"
#include "py_message.h"

/* RFC 9110 15.3.5, 15.3.6, 15.4.5: these responses have no content, as in the table of http1/framing.go. */
static bool has_no_content(int status) { return status == 204 || status == 205 || status == 304; }

int py_check_turn(exchange *ex, const char *kind)
{
    if (py_check_open(ex, kind) < 0) return -1;
    if (ex->started && !ex->body_over) return 0;
    PyErr_Format(py_state_in(ex)->order_error,
                 ex->started ? "%s was sent after the body was complete, where " HTTP_TRAILERS " belongs" : "%s was sent before " HTTP_START, kind);
    return -1;
}

int py_check_fit(exchange *ex, const char *kind, int status, int64_t declared, int64_t sent, bool more)
{
    module_state *st = py_state_in(ex);
    if (has_no_content(status)) {
        if (sent == 0) return 0;
        PyErr_Format(st->body_error, "%s: a response with status %d has no body, but %lld bytes were sent", kind, status, (long long)sent);
        return -1;
    }
    if (declared < 0 || (sent <= declared && (more || ex->silent || sent == declared))) return 0;
    PyErr_Format(st->length_error, "%s: the body is %s than its content-length: %lld of %lld bytes", kind, sent > declared ? "longer" : "shorter",
                 (long long)sent, (long long)declared);
    return -1;
}

int py_check_piece(exchange *ex, const char *kind, int64_t size, bool more)
{
    return py_check_turn(ex, kind) < 0 ? -1 : py_check_fit(ex, kind, ex->status, ex->declared, ex->sent + size, more);
}

int py_more_flag(exchange *ex, bool more) { return more || ex->trailers ? COMMAND_MORE : 0; }

/* The outcome of a waiting send(). */
static PySendResult drained(exchange *ex, PyObject **result)
{
    if (ex->gone && (py_is_websocket(ex) || ex->loop->ignored_most == 0)) {
        PyErr_SetNone(py_state_in(ex)->disconnected);
        return PYGEN_ERROR;
    }
    if (!ex->gone && !ex->complete && ex->window <= 0) return py_exchange_wait(ex, &ex->senders, result);
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

PyObject *py_pace(exchange *ex, int64_t size)
{
    ex->window -= size;
    if (ex->window > 0) return Py_NewRef(py_state_in(ex)->sent);
    if (py_command(ex->loop, COMMAND_NOTIFY, 0, 0, ex->stream, 0) == NULL) return NULL;
    return py_awaitable_new(py_state_in(ex), ex, drained);
}

PyObject *py_after_piece(exchange *ex, int64_t size, int64_t cost, bool more)
{
    module_state *st = py_state_in(ex);
    ex->sent += size;
    if (!more) {
        ex->body_over = ex->trailers;
        return !ex->trailers && py_exchange_complete(ex) < 0 ? NULL : Py_NewRef(st->sent);
    }
    return py_pace(ex, size + cost);
}

int py_put_borrowed(exchange *ex, int command, int flags, PyObject *owner, const void *bytes, Py_ssize_t size)
{
    return py_lend(ex->loop, &(struct saltare_command){.kind = (uint16_t)command, .flags = (uint16_t)flags, .stream = ex->stream, .len = (uint64_t)size}, owner,
                   bytes);
}

int py_put_copied(exchange *ex, int command, int flags, const void *bytes, Py_ssize_t size)
{
    uint8_t *at = py_command(ex->loop, command, flags, 0, ex->stream, (size_t)size);
    if (at == NULL) return -1;
    if (size > 0) memcpy(at, bytes, (size_t)size);
    return 0;
}

size_t py_start_before(exchange *ex, bool more)
{
    const outbox *box = &ex->loop->boxes[ex->loop->filling];
    if (more || ex->declared >= 0 || ex->trailers || box->len == 0) return NOT_WHOLE;
    const struct saltare_command *last = (const struct saltare_command *)(box->data + box->last);
    return last->kind == COMMAND_START && last->stream == ex->stream ? box->last : NOT_WHOLE;
}

void py_mark_whole(exchange *ex, size_t start)
{
    if (start != NOT_WHOLE) ((struct saltare_command *)(ex->loop->boxes[ex->loop->filling].data + start))->flags |= COMMAND_WHOLE;
}

static PyObject *send_bytes(exchange *ex, PyObject *body, bool more, const char *kind)
{
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    int flags = py_more_flag(ex, more);
    const char *bytes = PyBytes_AS_STRING(body);
    if (py_check_piece(ex, kind, size, more) < 0) return NULL;
    const size_t start = py_start_before(ex, more);
    int failed = size > SALTARE_INLINE ? py_put_borrowed(ex, COMMAND_BODY_REF, flags, body, bytes, size)
                                       : py_put_copied(ex, COMMAND_BODY, flags, bytes, size);
    if (failed < 0) return NULL;
    py_mark_whole(ex, start);
    return py_after_piece(ex, size, SALTARE_PIECE_COST, more);
}

/* send_bytes for any contiguous buffer. */
static PyObject *send_buffer(exchange *ex, PyObject *body, bool more, const char *kind)
{
    Py_buffer view;
    if (!PyObject_CheckBuffer(body)) {
        PyErr_Format(py_state_in(ex)->type_error, "%s: body must be bytes, not %.100s", kind, Py_TYPE(body)->tp_name);
        return NULL;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) return NULL;
    const size_t start = py_start_before(ex, more);
    int failed = py_check_piece(ex, kind, view.len, more) < 0 || py_put_copied(ex, COMMAND_BODY, py_more_flag(ex, more), view.buf, view.len) < 0;
    if (!failed) py_mark_whole(ex, start);
    PyObject *result = failed ? NULL : py_after_piece(ex, view.len, SALTARE_PIECE_COST, more);
    PyBuffer_Release(&view);
    return result;
}

PyObject *py_send_body(exchange *ex, PyObject *message, const char *kind)
{
    module_state *st = py_state_in(ex);
    if (py_check_turn(ex, kind) < 0) return NULL;
    PyObject *body = py_item(message, st->s_body);
    if (body == NULL && PyErr_Occurred()) return NULL;
    if (body == NULL) body = Py_NewRef(st->empty_bytes);
    int more = py_item_is_true(message, st->s_more_body);
    PyObject *result = more < 0 ? NULL : PyBytes_CheckExact(body) ? send_bytes(ex, body, more, kind) : send_buffer(ex, body, more, kind);
    Py_DECREF(body);
    return result;
}
