/* send() of a websocket: the messages of the app as commands of the outbox.
 *
 * A rejected message has no effect. Go handles frames, compression and the close handshake. */
#include "py_websocket_type.h"

#include "py_message.h"
#include "py_send.h"

#define ACCEPT "websocket.accept"
#define SEND "websocket.send"
#define CLOSE "websocket.close"
#define RESPONSE_START "websocket.http.response.start"
#define RESPONSE_BODY "websocket.http.response.body"

/* RFC 6455 5.5.1. */
#define REASON_MOST 123

static module_state *state_of(websocket *ws) { return ws->ex.loop->state; }

/* Checks that the handshake has no response yet. */
static int check_connecting(websocket *ws, const char *kind)
{
    if (py_check_open(&ws->ex, kind) < 0) return -1;
    if (!ws->ex.started) return 0;
    PyErr_Format(state_of(ws)->order_error, "%s was sent after %s", kind, ws->accepted ? ACCEPT : RESPONSE_START);
    return -1;
}

static int check_accepted(websocket *ws, const char *kind)
{
    if (py_check_open(&ws->ex, kind) < 0) return -1;
    if (ws->accepted) return 0;
    PyErr_Format(state_of(ws)->order_error, ws->ex.started ? "%s was sent after " RESPONSE_START : "%s was sent before " ACCEPT, kind);
    return -1;
}

/* ---- accept ---------------------------------------------------------------------------------------------------- */

/* Checks that the peer offers the subprotocol, a str or None. -1 with an exception. */
static int check_offered(websocket *ws, PyObject *subprotocol)
{
    if (!PyUnicode_Check(subprotocol)) {
        PyErr_Format(state_of(ws)->type_error, ACCEPT ": subprotocol must be a str or None, not %.100s", Py_TYPE(subprotocol)->tp_name);
        return -1;
    }
    PyObject *offered = Py_NewRef(ws->offered); /* held: the comparison may accept the websocket, which drops it */
    int found = PySequence_Contains(offered, subprotocol);
    if (found == 0) {
        PyErr_Format(state_of(ws)->value_error, ACCEPT ": the peer did not offer the subprotocol %R, but %R", subprotocol, offered);
    }
    Py_DECREF(offered);
    return found > 0 ? 0 : -1;
}

/* Rejects fields that the handshake sets itself. */
static int check_no_handshake(websocket *ws, const headers *fields)
{
    Py_ssize_t n = fields->pairs ? PySequence_Fast_GET_SIZE(fields->pairs) : 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = PySequence_Fast_GET_ITEM(PySequence_Fast_GET_ITEM(fields->pairs, i), 0);
        if (PyOS_strnicmp(PyBytes_AS_STRING(name), "sec-websocket-", 14) != 0) continue;
        Py_INCREF(name);
        PyErr_Format(state_of(ws)->value_error, ACCEPT ": the app must not send the header %R", name);
        Py_DECREF(name);
        return -1;
    }
    return 0;
}

/* The headers of the message, plus one that names the subprotocol. */
static PyObject *accept_pairs(const headers *given, PyObject *subprotocol)
{
    PyObject *pairs = given->pairs ? PySequence_List(given->pairs) : PyList_New(0);
    if (pairs == NULL || subprotocol == Py_None) return pairs;
    PyObject *value = PyUnicode_AsLatin1String(subprotocol);
    PyObject *pair = value ? Py_BuildValue("(y#N)", "sec-websocket-protocol", (Py_ssize_t)22, value) : NULL;
    if (pair == NULL || PyList_Append(pairs, pair) < 0) Py_CLEAR(pairs);
    Py_XDECREF(pair);
    return pairs;
}

static void become_accepted(websocket *ws)
{
    ws->ex.started = ws->accepted = 1;
    ws->ex.window = ws->ex.most = SALTARE_WS_WINDOW;
    Py_CLEAR(ws->offered);
}

static int put_accept(websocket *ws, headers *given, PyObject *subprotocol)
{
    module_state *st = state_of(ws);
    if (subprotocol != Py_None && (check_connecting(ws, ACCEPT) < 0 || check_offered(ws, subprotocol) < 0)) return -1;
    headers all = {.kind = ACCEPT, .content_length = -1, .pairs = accept_pairs(given, subprotocol)};
    int failed = all.pairs == NULL || py_headers_check(given, st) < 0 || check_no_handshake(ws, given) < 0 || py_headers_check(&all, st) < 0 ||
                 check_connecting(ws, ACCEPT) < 0 || py_put_fields(&ws->ex, &all, COMMAND_WS_ACCEPT, 0, 0) < 0;
    if (!failed) become_accepted(ws);
    py_headers_free(&all);
    return failed ? -1 : 0;
}

static PyObject *send_accept(websocket *ws, PyObject *message)
{
    module_state *st = state_of(ws);
    headers given;
    PyObject *subprotocol = check_connecting(ws, ACCEPT) < 0 ? NULL : py_item(message, st->s_subprotocol);
    if (subprotocol == NULL && PyErr_Occurred()) return NULL;
    if (subprotocol == NULL) subprotocol = Py_NewRef(Py_None);
    int failed = py_read_headers(&given, st, message, ACCEPT);
    if (failed == 0) {
        failed = put_accept(ws, &given, subprotocol);
        py_headers_free(&given);
    }
    Py_DECREF(subprotocol);
    return failed < 0 ? NULL : Py_NewRef(st->sent);
}

/* ---- send ------------------------------------------------------------------------------------------------------ */

/* Sends a message. Copies a short one; keeps the owner of a longer one alive while Go needs its bytes. */
static PyObject *put_message(websocket *ws, PyObject *owner, const void *bytes, Py_ssize_t size, int flags)
{
    exchange *ex = &ws->ex;
    int failed = size > SALTARE_INLINE ? py_put_borrowed(ex, COMMAND_WS_SEND_REF, flags, owner, bytes, size)
                                       : py_put_copied(ex, COMMAND_WS_SEND, flags, bytes, size);
    return failed < 0 ? NULL : py_pace(ex, size + SALTARE_WS_COST);
}

/* A str caches its UTF-8, so a broadcast encodes it once. */
static PyObject *send_text(websocket *ws, PyObject *text)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    return utf8 ? put_message(ws, text, utf8, size, COMMAND_TEXT) : NULL;
}

/* Any contiguous buffer. */
static PyObject *send_buffer(websocket *ws, PyObject *object)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) return NULL;
    int failed = check_accepted(ws, SEND) < 0 || py_put_copied(&ws->ex, COMMAND_WS_SEND, 0, view.buf, view.len) < 0;
    PyObject *result = failed ? NULL : py_pace(&ws->ex, view.len + SALTARE_WS_COST);
    PyBuffer_Release(&view);
    return result;
}

static PyObject *send_object(websocket *ws, PyObject *bytes, PyObject *text)
{
    module_state *st = state_of(ws);
    bool has_bytes = bytes != NULL && bytes != Py_None, has_text = text != NULL && text != Py_None;
    if (has_bytes == has_text) {
        PyErr_SetString(st->value_error, has_text ? SEND ": both bytes and text" : SEND ": neither bytes nor text");
        return NULL;
    }
    if (has_text && PyUnicode_Check(text)) return send_text(ws, text);
    if (has_bytes && PyBytes_CheckExact(bytes)) return put_message(ws, bytes, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), 0);
    if (has_bytes && PyObject_CheckBuffer(bytes)) return send_buffer(ws, bytes);
    PyErr_Format(st->type_error, has_text ? SEND ": text must be a str, not %.100s" : SEND ": bytes must be bytes, not %.100s",
                 Py_TYPE(has_text ? text : bytes)->tp_name);
    return NULL;
}

static PyObject *send_message(websocket *ws, PyObject *message)
{
    module_state *st = state_of(ws);
    if (check_accepted(ws, SEND) < 0) return NULL;
    PyObject *bytes = py_item(message, st->s_bytes), *text = PyErr_Occurred() ? NULL : py_item(message, st->s_text);
    /* checked again: reading the items may have run any code */
    PyObject *result = PyErr_Occurred() || check_accepted(ws, SEND) < 0 ? NULL : send_object(ws, bytes, text);
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    return result;
}

/* ---- close ----------------------------------------------------------------------------------------------------- */

/* The close code: RFC 6455 7.4.1, 7.4.2 forbid 1004 to 1006 and 1015 for apps. -1 with an exception. */
static long code_of(module_state *st, PyObject *message)
{
    PyObject *number = py_item(message, st->s_code);
    if (number == NULL || number == Py_None) {
        Py_XDECREF(number);
        return PyErr_Occurred() ? -1 : WS_NORMAL;
    }
    long code = PyLong_AsLong(number);
    Py_DECREF(number);
    if (code == -1 && PyErr_Occurred()) return -1;
    if ((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)) return code;
    PyErr_Format(st->value_error, CLOSE ": code must be from 1000 to 1003, 1007 to 1014 or 3000 to 4999, not %ld", code);
    return -1;
}

/* New reference to the reason, or NULL; with an exception if it is not allowed. */
static PyObject *reason_of(module_state *st, PyObject *message)
{
    PyObject *reason = py_item(message, st->s_reason);
    if (reason == NULL) return NULL;
    if (reason == Py_None) {
        Py_DECREF(reason);
        return NULL;
    }
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(reason)) {
        PyErr_Format(st->type_error, CLOSE ": reason must be a str or None, not %.100s", Py_TYPE(reason)->tp_name);
    } else if (PyUnicode_AsUTF8AndSize(reason, &size) != NULL && size > REASON_MOST) {
        PyErr_Format(st->value_error, CLOSE ": reason has %zd bytes, the limit is %d", size, REASON_MOST);
    }
    if (PyErr_Occurred()) Py_CLEAR(reason);
    return reason;
}

/* Before the websocket is accepted, a close denies it. */
static PyObject *send_close(websocket *ws, PyObject *message)
{
    module_state *st = state_of(ws);
    long code = code_of(st, message);
    PyObject *reason = code < 0 ? NULL : reason_of(st, message);
    if (PyErr_Occurred()) return NULL;
    int failed = ws->accepted ? check_accepted(ws, CLOSE) : check_connecting(ws, CLOSE);
    if (failed == 0) failed = py_websocket_close(ws, (uint16_t)code, reason);
    Py_XDECREF(reason);
    return failed < 0 ? NULL : Py_NewRef(st->sent);
}

/* ---- a response instead ---------------------------------------------------------------------------------------- */

static PyObject *send_response_start(websocket *ws, PyObject *message)
{
    return check_connecting(ws, RESPONSE_START) < 0 ? NULL : py_send_start(&ws->ex, message, RESPONSE_START);
}

static PyObject *send_response_body(websocket *ws, PyObject *message)
{
    if (py_check_open(&ws->ex, RESPONSE_BODY) < 0) return NULL;
    if (ws->ex.started && !ws->accepted) return py_send_body(&ws->ex, message, RESPONSE_BODY);
    PyErr_SetString(state_of(ws)->order_error, ws->accepted ? RESPONSE_BODY " was sent after " ACCEPT : RESPONSE_BODY " was sent before " RESPONSE_START);
    return NULL;
}

/* ---- by kind --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    Py_ssize_t len;
    PyObject *(*send)(websocket *ws, PyObject *message);
} kinds[] = {
#define KIND(name, send) {name, sizeof name - 1, send}
    KIND(SEND, send_message),
    KIND(ACCEPT, send_accept),
    KIND(CLOSE, send_close),
    KIND(RESPONSE_START, send_response_start),
    KIND(RESPONSE_BODY, send_response_body),
#undef KIND
    {NULL, 0, NULL},
};

PyObject *py_websocket_send_kind(exchange *ex, PyObject *message, PyObject *type)
{
    websocket *ws = (websocket *)ex;
    for (int i = 0; kinds[i].name != NULL; i++) {
        if (py_is_kind(type, kinds[i].name, kinds[i].len)) return kinds[i].send(ws, message);
    }
    PyErr_Format(state_of(ws)->value_error, "send(): unknown message type %R for a websocket", type);
    return NULL;
}
