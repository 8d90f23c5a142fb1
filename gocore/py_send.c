/* send(): the messages of the app as commands of the outbox. Bodies are in py_send_body.c, files in py_send_file.c.
 *
 * This code checks the app's messages: their form, their order, and whether the body has the declared length. A rejected
 * message has no effect. Go decides how a response is sent (framing, chunks, keep-alive): http1/framing.go. */
#include "py_send.h"

#include <string.h>

#include "py_awaitable.h"
#include "py_hook.h"
#include "py_message.h"

#define BODY "http.response.body"
#define EARLY_HINT "http.response.early_hint"

/* RFC 9110 15.2: 103. */
#define EARLY_HINTS 103

int py_check_open(exchange *ex, const char *kind)
{
    module_state *st = py_state_in(ex);
    if (ex->gone) {
        PyErr_SetNone(st->disconnected);
        return -1;
    }
    if (!ex->complete) return 0;
    PyErr_Format(st->order_error, "%s was sent after the response was complete", kind);
    return -1;
}

/* ---- the head ------------------------------------------------------------------------------------------------- */

long py_read_status(module_state *st, PyObject *message, const char *kind, long otherwise)
{
    PyObject *number = py_item(message, st->s_status);
    if (number == NULL) {
        if (otherwise < 0 && !PyErr_Occurred()) PyErr_Format(st->value_error, "%s: no status", kind);
        return PyErr_Occurred() ? -1 : otherwise;
    }
    long status = PyLong_AsLong(number);
    Py_DECREF(number);
    if (status == -1 && PyErr_Occurred()) return -1;
    if (status >= 200 && status <= 999) return status;
    PyErr_Format(st->value_error, "%s: status must be from 200 to 999, not %ld", kind, status);
    return -1;
}

int py_read_headers(headers *fields, module_state *st, PyObject *message, const char *kind)
{
    PyObject *given = py_item(message, st->s_headers);
    int status = given == NULL && PyErr_Occurred() ? -1 : py_headers_read(fields, st, given, kind);
    Py_XDECREF(given);
    return status;
}

int py_put_fields(exchange *ex, headers *fields, int command, int flags, long arg)
{
    uint8_t *at = py_command(ex->loop, command, flags, (uint32_t)arg, ex->stream, fields->size);
    if (at == NULL) return -1;
    py_headers_put(fields, at);
    return 0;
}

static int check_not_started(exchange *ex, const char *kind)
{
    if (py_check_open(ex, kind) < 0) return -1;
    if (!ex->started) return 0;
    if (ex->half_closed) { /* MCP's streams over SSE end so */
        PyErr_SetNone(py_state_in(ex)->disconnected);
        return -1;
    }
    bool twice = strcmp(kind, HTTP_START) == 0;
    PyErr_Format(py_state_in(ex)->order_error, twice ? "%s was sent twice" : "%s was sent after " HTTP_START, kind);
    return -1;
}

int py_put_start(exchange *ex, headers *fields, long status)
{
    if (check_not_started(ex, fields->kind) < 0 || py_headers_check(fields, py_state_in(ex)) < 0) return -1;
    if (py_put_fields(ex, fields, COMMAND_START, 0, status) < 0) return -1;
    ex->started = 1;
    ex->status = (short)status;
    ex->declared = fields->content_length;
    return 0;
}

PyObject *py_send_start(exchange *ex, PyObject *message, const char *kind)
{
    module_state *st = py_state_in(ex);
    headers fields;
    long status = py_read_status(st, message, kind, -1);
    int trailers = status < 0 ? -1 : py_item_is_true(message, st->s_trailers);
    if (trailers < 0 || py_read_headers(&fields, st, message, kind) < 0) return NULL;
    int failed = py_put_start(ex, &fields, status);
    if (failed == 0) ex->trailers = (char)trailers;
    py_headers_free(&fields);
    return failed < 0 ? NULL : Py_NewRef(st->sent);
}

static PyObject *send_start(exchange *ex, PyObject *message) { return py_send_start(ex, message, HTTP_START); }

/* List of (b"link", value) for each of the links. */
static PyObject *link_headers(PyObject *links)
{
    PyObject *values = PySequence_Tuple(links);
    PyObject *pairs = values ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; pairs != NULL && i < PyTuple_GET_SIZE(values); i++) {
        PyObject *pair = Py_BuildValue("(y#O)", "link", (Py_ssize_t)4, PyTuple_GET_ITEM(values, i));
        if (pair == NULL || PyList_Append(pairs, pair) < 0) Py_CLEAR(pairs);
        Py_XDECREF(pair);
    }
    Py_XDECREF(values);
    return pairs;
}

static PyObject *send_early_hint(exchange *ex, PyObject *message)
{
    module_state *st = py_state_in(ex);
    PyObject *links = py_item(message, st->s_links);
    if (links == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(st->value_error, EARLY_HINT ": no links");
        return NULL;
    }
    headers fields = {0};
    PyObject *pairs = link_headers(links);
    int failed = pairs == NULL ? -1 : py_headers_read(&fields, st, pairs, EARLY_HINT);
    Py_DECREF(links);
    Py_XDECREF(pairs);
    if (failed == 0) failed = check_not_started(ex, EARLY_HINT);
    if (failed == 0) failed = py_headers_check(&fields, st);
    if (failed == 0) failed = py_put_fields(ex, &fields, COMMAND_START, 0, EARLY_HINTS);
    int64_t cost = (int64_t)fields.size + SALTARE_PIECE_COST;
    py_headers_free(&fields);
    return failed < 0 ? NULL : py_pace(ex, cost);
}

static PyObject *send_body(exchange *ex, PyObject *message) { return py_send_body(ex, message, BODY); }

/* ---- trailers ------------------------------------------------------------------------------------------------- */

static int check_trailers(exchange *ex)
{
    if (py_check_open(ex, HTTP_TRAILERS) < 0) return -1;
    if (ex->body_over) return 0;
    PyErr_SetString(py_state_in(ex)->order_error, !ex->started    ? HTTP_TRAILERS " was sent before " HTTP_START
                                                  : ex->trailers ? HTTP_TRAILERS " was sent before the end of the body"
                                                                 : HTTP_TRAILERS " was sent, but " HTTP_START " did not say trailers=True");
    return -1;
}

static PyObject *send_trailers(exchange *ex, PyObject *message)
{
    module_state *st = py_state_in(ex);
    headers fields;
    int more = check_trailers(ex) < 0 ? -1 : py_item_is_true(message, st->s_more_trailers);
    if (more < 0 || py_read_headers(&fields, st, message, HTTP_TRAILERS) < 0) return NULL;
    int failed = check_trailers(ex) < 0 || py_headers_check(&fields, st) < 0 ? -1 : 0;
    if (failed == 0) failed = py_put_fields(ex, &fields, COMMAND_TRAILERS, more ? COMMAND_MORE : 0, 0);
    if (failed == 0 && !more) failed = py_exchange_complete(ex);
    int64_t cost = (int64_t)fields.size + SALTARE_PIECE_COST;
    py_headers_free(&fields);
    if (failed < 0) return NULL;
    return more ? py_pace(ex, cost) : Py_NewRef(st->sent);
}

/* ---- by kind -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    Py_ssize_t len;
    PyObject *(*send)(exchange *ex, PyObject *message);
} kinds[] = {
#define KIND(name, send) {name, sizeof name - 1, send}
    KIND(BODY, send_body),
    KIND(HTTP_START, send_start),
    KIND(HTTP_PATHSEND, py_send_path),
    KIND(HTTP_ZEROCOPYSEND, py_send_zero_copy),
    KIND(HTTP_TRAILERS, send_trailers),
    KIND(EARLY_HINT, send_early_hint),
    KIND(SALTARE_SENDFILE, py_send_file),
#undef KIND
    {NULL, 0, NULL},
};

/* send() in a thread other than the loop's: as with a coroutine, nothing happens until the loop awaits it. */
static PyObject *send_elsewhere(exchange *ex, PyObject *message)
{
    PyObject *send = py_exchange_send_method(ex);
    PyObject *args[] = {send, message};
    PyObject *result = send ? py_call_hook(ex->loop->elsewhere, "elsewhere", args, 2) : NULL;
    Py_XDECREF(send);
    return result;
}

static PyObject *send_kind(exchange *ex, PyObject *message, PyObject *type)
{
    for (int i = 0; kinds[i].name != NULL; i++) {
        if (!py_is_kind(type, kinds[i].name, kinds[i].len)) continue;
        return py_check_open(ex, kinds[i].name) < 0 ? NULL : kinds[i].send(ex, message);
    }
    PyErr_Format(py_state_in(ex)->value_error, "send(): unknown message type %R for an HTTP request", type);
    return NULL;
}

/* Whether to ignore that the peer has gone, the exception that is set. Servers of ASGI 2.3 do so; an app that does not ask
 * receive() gets the exception later, so that it does not go on for ever. */
static bool ignores(exchange *ex)
{
    if (!ex->gone || py_is_websocket(ex) || ex->ignored >= ex->loop->ignored_most || !PyErr_ExceptionMatches(py_state_in(ex)->disconnected)) return false;
    ex->ignored++;
    PyErr_Clear();
    return true;
}

PyObject *py_exchange_send(exchange *ex, PyObject *message)
{
    module_state *st = py_state_in(ex);
    if (ex->loop->thread != PyThread_get_thread_ident() && ex->loop->elsewhere != NULL) return send_elsewhere(ex, message);
    if (!PyDict_Check(message)) {
        PyErr_Format(st->type_error, "send() takes a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    PyObject *type = py_item(message, st->s_type);
    if (type == NULL || !PyUnicode_Check(type)) {
        if (!PyErr_Occurred()) PyErr_SetString(st->value_error, "send(): the message has no type");
        Py_XDECREF(type);
        return NULL;
    }
    PyObject *result = py_is_websocket(ex) ? py_websocket_send_kind(ex, message, type) : send_kind(ex, message, type);
    if (result == NULL && ignores(ex)) {
        result = py_awaitable_turn(st); /* in which the app may see its disconnect, before it gets the exception */
    } else if (result == NULL) {
        py_name_error(st, type);
    }
    Py_DECREF(type);
    if (result != NULL && py_loop_wake(ex->loop) < 0) Py_CLEAR(result);
    return result;
}
