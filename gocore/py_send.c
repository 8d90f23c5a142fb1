/* send(): what the app says, as commands of the outbox.  per request
 *
 * What is checked here is the app against itself: the shape of its messages, their order, and whether the body is as long as
 * declared. A message that is refused leaves no trace. What an answer means on the wire (framing, chunks, keep-alive) is
 * decided in Go, http1/framing.go. */
#include "py_state.h"

#include <string.h>

#define START "http.response.start"
#define BODY "http.response.body"
#define TRAILERS "http.response.trailers"
#define EARLY_HINT "http.response.early_hint"
#define PATHSEND "http.response.pathsend"
#define ZEROCOPYSEND "http.response.zerocopysend"
#define SENDFILE "saltare.sendfile"

/* RFC 9110 15.2: 103. */
#define EARLY_HINTS 103

int py_check_open(exchange *ex, const char *kind)
{
    module_state *st = ex->core->state;
    if (ex->gone) {
        PyErr_SetNone(st->disconnected);
        return -1;
    }
    if (!ex->complete) return 0;
    PyErr_Format(st->order_error, "%s was sent after the answer was complete", kind);
    return -1;
}

static int is_true(PyObject *message, PyObject *key)
{
    PyObject *value = py_item(message, key);
    int truth = value == NULL ? (PyErr_Occurred() ? -1 : 0) : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return truth;
}

/* ---- the head ------------------------------------------------------------------------------------------------- */

/* The status of a message, or -1 with an exception. */
static long status_of(module_state *st, PyObject *message, const char *kind, long otherwise)
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
    uint8_t *at = py_command(ex->core, command, flags, (uint32_t)arg, ex->stream, fields->size);
    if (at == NULL) return -1;
    py_headers_put(fields, at);
    return 0;
}

static int check_not_started(exchange *ex, const char *kind)
{
    if (py_check_open(ex, kind) < 0) return -1;
    if (!ex->started) return 0;
    bool twice = strcmp(kind, START) == 0;
    PyErr_Format(ex->core->state->order_error, twice ? "%s was sent twice" : "%s was sent after " START, kind);
    return -1;
}

static int put_start(exchange *ex, headers *fields, long status)
{
    if (check_not_started(ex, fields->kind) < 0 || py_headers_check(fields, ex->core->state) < 0) return -1;
    if (py_put_fields(ex, fields, COMMAND_START, 0, status) < 0) return -1;
    ex->started = 1;
    ex->status = (short)status;
    ex->declared = fields->content_length;
    return 0;
}

PyObject *py_send_start(exchange *ex, PyObject *message, const char *kind)
{
    module_state *st = ex->core->state;
    headers fields;
    long status = status_of(st, message, kind, -1);
    int trailers = status < 0 ? -1 : is_true(message, st->s_trailers);
    if (trailers < 0 || py_read_headers(&fields, st, message, kind) < 0) return NULL;
    int failed = put_start(ex, &fields, status);
    if (failed == 0) ex->trailers = (char)trailers;
    py_headers_free(&fields);
    return failed < 0 ? NULL : Py_NewRef(st->sent);
}

static PyObject *send_start(exchange *ex, PyObject *message) { return py_send_start(ex, message, START); }

/* List of a (b"link", value) for each of the links. */
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
    module_state *st = ex->core->state;
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

/* ---- the body ------------------------------------------------------------------------------------------------- */

/* RFC 9110 15.3.5, 15.3.6, 15.4.5: such an answer has no content, as in the table of http1/framing.go. */
static bool has_no_content(int status) { return status == 204 || status == 205 || status == 304; }

/* Whether a piece of the body is in its place. */
static int check_turn(exchange *ex, const char *kind)
{
    if (py_check_open(ex, kind) < 0) return -1;
    if (ex->started && !ex->body_over) return 0;
    PyErr_Format(ex->core->state->order_error,
                 ex->started ? "%s was sent after the body was complete, where " TRAILERS " belongs" : "%s was sent before " START, kind);
    return -1;
}

/* Whether a body of so many bytes, the piece at hand included, fits a head. */
static int check_fit(exchange *ex, const char *kind, int status, int64_t declared, int64_t sent, bool more)
{
    module_state *st = ex->core->state;
    if (has_no_content(status)) {
        if (sent == 0) return 0;
        PyErr_Format(st->body_error, "%s: an answer with status %d has no body, but %lld bytes were sent", kind, status, (long long)sent);
        return -1;
    }
    if (declared < 0 || (sent <= declared && (more || ex->silent || sent == declared))) return 0;
    PyErr_Format(st->length_error, "%s: the body is %s than its content-length: %lld of %lld bytes", kind, sent > declared ? "longer" : "shorter",
                 (long long)sent, (long long)declared);
    return -1;
}

/* Whether a piece of so many bytes has its place in the answer. */
static int check_piece(exchange *ex, const char *kind, int64_t size, bool more)
{
    return check_turn(ex, kind) < 0 ? -1 : check_fit(ex, kind, ex->status, ex->declared, ex->sent + size, more);
}

static int more_flag(exchange *ex, bool more) { return more || ex->trailers ? COMMAND_MORE : 0; }

/* The outcome of a send() that waits. */
static PySendResult drained(exchange *ex, PyObject **result)
{
    if (ex->gone) {
        PyErr_SetNone(ex->core->state->disconnected);
        return PYGEN_ERROR;
    }
    if (!ex->complete && ex->window <= 0) return py_exchange_wait(ex, &ex->senders, result);
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

PyObject *py_pace(exchange *ex, int64_t size)
{
    ex->window -= size;
    if (ex->window > 0) return Py_NewRef(ex->core->state->sent);
    if (py_command(ex->core, COMMAND_NOTIFY, 0, 0, ex->stream, 0) == NULL) return NULL;
    return py_awaitable_new(ex, drained);
}

/* The same after a piece of the body. */
static PyObject *after_piece(exchange *ex, int64_t size, int64_t cost, bool more)
{
    module_state *st = ex->core->state;
    ex->sent += size;
    if (!more) {
        ex->body_over = ex->trailers;
        return !ex->trailers && py_exchange_complete(ex) < 0 ? NULL : Py_NewRef(st->sent);
    }
    return py_pace(ex, size + cost);
}

int py_put_borrowed(exchange *ex, int command, int flags, PyObject *owner, const void *bytes, Py_ssize_t size)
{
    uint8_t *at = py_command(ex->core, command, flags, 0, ex->stream, sizeof(struct saltare_body_ref));
    if (at == NULL) return -1;
    *(struct saltare_body_ref *)at =
        (struct saltare_body_ref){.ptr = bytes, .len = (uint64_t)size, .token = (uint64_t)(uintptr_t)Py_NewRef(owner)};
    ex->core->state->borrowed++;
    ex->core->borrowed++;
    return 0;
}

int py_put_copied(exchange *ex, int command, int flags, const void *bytes, Py_ssize_t size)
{
    uint8_t *at = py_command(ex->core, command, flags, 0, ex->stream, (size_t)size);
    if (at == NULL) return -1;
    if (size > 0) memcpy(at, bytes, (size_t)size);
    return 0;
}

static PyObject *send_bytes(exchange *ex, PyObject *body, bool more, const char *kind)
{
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    int flags = more_flag(ex, more);
    const char *bytes = PyBytes_AS_STRING(body);
    if (check_piece(ex, kind, size, more) < 0) return NULL;
    int failed = size > SALTARE_INLINE ? py_put_borrowed(ex, COMMAND_BODY_REF, flags, body, bytes, size)
                                       : py_put_copied(ex, COMMAND_BODY, flags, bytes, size);
    return failed < 0 ? NULL : after_piece(ex, size, SALTARE_PIECE_COST, more);
}

/* The same with any contiguous buffer. */
static PyObject *send_buffer(exchange *ex, PyObject *body, bool more, const char *kind)
{
    Py_buffer view;
    if (!PyObject_CheckBuffer(body)) {
        PyErr_Format(ex->core->state->type_error, "%s: body must be bytes, not %.100s", kind, Py_TYPE(body)->tp_name);
        return NULL;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) return NULL;
    int failed = check_piece(ex, kind, view.len, more) < 0 || py_put_copied(ex, COMMAND_BODY, more_flag(ex, more), view.buf, view.len) < 0;
    PyObject *result = failed ? NULL : after_piece(ex, view.len, SALTARE_PIECE_COST, more);
    PyBuffer_Release(&view);
    return result;
}

PyObject *py_send_body(exchange *ex, PyObject *message, const char *kind)
{
    module_state *st = ex->core->state;
    if (check_turn(ex, kind) < 0) return NULL;
    PyObject *body = py_item(message, st->s_body);
    if (body == NULL && PyErr_Occurred()) return NULL;
    if (body == NULL) body = Py_NewRef(st->empty_bytes);
    int more = is_true(message, st->s_more_body);
    PyObject *result = more < 0 ? NULL : PyBytes_CheckExact(body) ? send_bytes(ex, body, more, kind) : send_buffer(ex, body, more, kind);
    Py_DECREF(body);
    return result;
}

static PyObject *send_body(exchange *ex, PyObject *message) { return py_send_body(ex, message, BODY); }

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* Sends a part of a file that has its place. Its descriptor is taken in any case. */
static PyObject *put_part(exchange *ex, struct saltare_file *part, bool more)
{
    int64_t size = (int64_t)part->len;
    int flags = more_flag(ex, more);
    if (size == 0 || ex->silent) {
        py_file_close(part);
        return py_put_copied(ex, COMMAND_BODY, flags, NULL, 0) < 0 ? NULL : after_piece(ex, size, SALTARE_PIECE_COST, more);
    }
    uint8_t *at = py_command(ex->core, COMMAND_FILE, flags, 0, ex->stream, sizeof *part);
    if (at == NULL) {
        py_file_close(part);
        return NULL;
    }
    memcpy(at, part, sizeof *part);
    return after_piece(ex, size, SALTARE_FILE_COST, more);
}

/* A file that has grown since its length was declared is sent up to there. */
static void cut_to(struct saltare_file *part, int64_t left)
{
    if (left >= 0 && left < (int64_t)part->len) part->len = (uint64_t)left;
}

static PyObject *send_whole(exchange *ex, const char *kind, struct saltare_file *part)
{
    if (ex->declared >= 0) cut_to(part, ex->declared - ex->sent);
    if (check_piece(ex, kind, (int64_t)part->len, false) == 0) return put_part(ex, part, false);
    py_file_close(part);
    return NULL;
}

static PyObject *send_path(exchange *ex, PyObject *message)
{
    struct saltare_file part;
    if (check_turn(ex, PATHSEND) < 0 || py_file_open(ex->core->state, message, PATHSEND, &part) < 0) return NULL;
    return send_whole(ex, PATHSEND, &part);
}

static PyObject *send_zero_copy(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    struct saltare_file part;
    bool goes_on;
    int more = check_turn(ex, ZEROCOPYSEND) < 0 ? -1 : is_true(message, st->s_more_body);
    if (more < 0 || py_file_borrow(st, message, ZEROCOPYSEND, &part, &goes_on) < 0) return NULL;
    if (check_piece(ex, ZEROCOPYSEND, (int64_t)part.len, more) == 0 && (!goes_on || py_file_seek(&part) == 0)) return put_part(ex, &part, more);
    py_file_close(&part);
    return NULL;
}

/* Adds the content-length of a file to headers that have none. */
static int add_length(PyObject *pairs, uint64_t size)
{
    PyObject *text = PyBytes_FromFormat("%zu", (size_t)size);
    PyObject *pair = text ? Py_BuildValue("(y#N)", "content-length", (Py_ssize_t)14, text) : NULL;
    int status = pair ? PyList_Append(pairs, pair) : -1;
    Py_XDECREF(pair);
    return status;
}

/* The head of a file: the message's, and a content-length unless it declares one. Only when the file fits is it sent. */
static int start_file(exchange *ex, PyObject *message, struct saltare_file *part)
{
    module_state *st = ex->core->state;
    headers given, all = {0};
    long status = status_of(st, message, SENDFILE, 200);
    if (status < 0 || py_read_headers(&given, st, message, SENDFILE) < 0) return -1;
    PyObject *pairs = given.pairs ? PySequence_List(given.pairs) : PyList_New(0); /* ours, so that it stays as it is checked */
    int failed = pairs == NULL || py_headers_read(&all, st, pairs, SENDFILE) < 0 || py_headers_check(&all, st) < 0 ? -1 : 0;
    if (failed == 0) {
        cut_to(part, all.content_length);
        int64_t declared = all.content_length < 0 ? (int64_t)part->len : all.content_length;
        failed = check_fit(ex, SENDFILE, (int)status, declared, (int64_t)part->len, false);
    }
    if (failed == 0 && all.content_length < 0) failed = add_length(pairs, part->len);
    py_headers_free(&all);
    all = (headers){.kind = SENDFILE, .pairs = pairs, .content_length = -1};
    if (failed == 0) failed = put_start(ex, &all, status);
    py_headers_free(&given);
    py_headers_free(&all);
    return failed;
}

/* As a first message it brings its own head; after http.response.start it is http.response.pathsend. */
static PyObject *send_file(exchange *ex, PyObject *message)
{
    struct saltare_file part;
    if (py_file_open(ex->core->state, message, SENDFILE, &part) < 0) return NULL;
    if (ex->started || start_file(ex, message, &part) == 0) return send_whole(ex, SENDFILE, &part);
    py_file_close(&part);
    return NULL;
}

/* ---- trailers ------------------------------------------------------------------------------------------------- */

static int check_trailers(exchange *ex)
{
    if (py_check_open(ex, TRAILERS) < 0) return -1;
    if (ex->body_over) return 0;
    PyErr_SetString(ex->core->state->order_error, !ex->started    ? TRAILERS " was sent before " START
                                                  : ex->trailers ? TRAILERS " was sent before the end of the body"
                                                                 : TRAILERS " was sent, but " START " did not say trailers=True");
    return -1;
}

static PyObject *send_trailers(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    headers fields;
    int more = check_trailers(ex) < 0 ? -1 : is_true(message, st->s_more_trailers);
    if (more < 0 || py_read_headers(&fields, st, message, TRAILERS) < 0) return NULL;
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
    KIND(START, send_start),
    KIND(PATHSEND, send_path),
    KIND(ZEROCOPYSEND, send_zero_copy),
    KIND(TRAILERS, send_trailers),
    KIND(EARLY_HINT, send_early_hint),
    KIND(SENDFILE, send_file),
#undef KIND
    {NULL, 0, NULL},
};

bool py_is_kind(PyObject *type, const char *name, Py_ssize_t len)
{
    if (!PyUnicode_IS_COMPACT_ASCII(type)) return PyUnicode_CompareWithASCIIString(type, name) == 0; /* a subclass, such as a StrEnum */
    return PyUnicode_GET_LENGTH(type) == len && memcmp(PyUnicode_1BYTE_DATA(type), name, (size_t)len) == 0;
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

static PyObject *send_kind(exchange *ex, PyObject *message, PyObject *type)
{
    for (int i = 0; kinds[i].name != NULL; i++) {
        if (!py_is_kind(type, kinds[i].name, kinds[i].len)) continue;
        return py_check_open(ex, kinds[i].name) < 0 ? NULL : kinds[i].send(ex, message);
    }
    PyErr_Format(ex->core->state->value_error, "send(): unknown message type %R for an HTTP request", type);
    return NULL;
}

/* Gives an exception of CPython's about an item of the message a name of ours, with it as the cause. */
static void name_error(module_state *st, PyObject *kind)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *ours = type == PyExc_TypeError                                     ? st->type_error
                     : type == PyExc_ValueError || type == PyExc_OverflowError ? st->value_error
                                                                                 : NULL;
    if (type == PyExc_UnicodeEncodeError) ours = st->value_error;
    if (ours == NULL) {
        PyErr_Restore(type, value, traceback);
        return;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    PyErr_Format(ours, "%U: %S", kind, value);
    PyErr_Fetch(&type, &ours, &traceback);
    PyErr_NormalizeException(&type, &ours, &traceback);
    PyException_SetCause(ours, value);
    PyErr_Restore(type, ours, traceback);
}

PyObject *py_exchange_send(exchange *ex, PyObject *message)
{
    module_state *st = ex->core->state;
    if (ex->core->thread != PyThread_get_thread_ident() && ex->core->elsewhere != NULL) return send_elsewhere(ex, message);
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
    PyObject *result = py_is_socket(ex) ? py_socket_send_kind((websocket *)ex, message, type) : send_kind(ex, message, type);
    if (result == NULL) name_error(st, type);
    Py_DECREF(type);
    if (result != NULL && py_core_wake(ex->core) < 0) Py_CLEAR(result);
    return result;
}
