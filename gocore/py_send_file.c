/* send(): files as bodies. */
#include "py_send.h"

#include <string.h>

#include "py_file.h"
#include "py_message.h"

/* Sends a checked part of a file. Takes over its descriptor in any case. */
static PyObject *put_part(exchange *ex, struct saltare_file *part, bool more)
{
    int64_t size = (int64_t)part->len;
    int flags = py_more_flag(ex, more);
    const size_t start = py_start_before(ex, more);
    if (size == 0 || (ex->silent && start == NOT_WHOLE)) { /* a whole file has a length in the response to HEAD as well */
        py_file_close(part);
        if (py_put_copied(ex, COMMAND_BODY, flags, NULL, 0) < 0) return NULL;
        py_mark_whole(ex, start);
        return py_after_piece(ex, size, SALTARE_PIECE_COST, more);
    }
    uint8_t *at = py_command(ex->loop, COMMAND_FILE, flags, 0, ex->stream, sizeof *part);
    if (at == NULL) {
        py_file_close(part);
        return NULL;
    }
    memcpy(at, part, sizeof *part);
    py_mark_whole(ex, start);
    return py_after_piece(ex, size, SALTARE_FILE_COST, more);
}

/* Limits a file that has grown to the length declared before. */
static void cut_to(struct saltare_file *part, int64_t left)
{
    if (left >= 0 && left < (int64_t)part->len) part->len = (uint64_t)left;
}

static PyObject *send_whole(exchange *ex, const char *kind, struct saltare_file *part)
{
    if (ex->declared >= 0) cut_to(part, ex->declared - ex->sent);
    if (py_check_piece(ex, kind, (int64_t)part->len, false) == 0) return put_part(ex, part, false);
    py_file_close(part);
    return NULL;
}

PyObject *py_send_path(exchange *ex, PyObject *message)
{
    struct saltare_file part;
    if (py_check_turn(ex, HTTP_PATHSEND) < 0 || py_file_open(py_state_in(ex), message, HTTP_PATHSEND, &part) < 0) return NULL;
    return send_whole(ex, HTTP_PATHSEND, &part);
}

PyObject *py_send_zero_copy(exchange *ex, PyObject *message)
{
    module_state *st = py_state_in(ex);
    struct saltare_file part;
    bool goes_on;
    int more = py_check_turn(ex, HTTP_ZEROCOPYSEND) < 0 ? -1 : py_item_is_true(message, st->s_more_body);
    if (more < 0 || py_file_borrow(st, message, HTTP_ZEROCOPYSEND, &part, &goes_on) < 0) return NULL;
    if (py_check_piece(ex, HTTP_ZEROCOPYSEND, (int64_t)part.len, more) == 0 && (!goes_on || py_file_seek(&part) == 0)) return put_part(ex, &part, more);
    py_file_close(&part);
    return NULL;
}

/* Adds the content-length of a file to headers without one. */
static int add_length(PyObject *pairs, uint64_t size)
{
    PyObject *text = PyBytes_FromFormat("%zu", (size_t)size);
    PyObject *pair = text ? Py_BuildValue("(y#N)", "content-length", (Py_ssize_t)14, text) : NULL;
    int status = pair ? PyList_Append(pairs, pair) : -1;
    Py_XDECREF(pair);
    return status;
}

/* Sends the message's head, with a content-length unless it declares one, but only if the file fits it. */
static int start_file(exchange *ex, PyObject *message, struct saltare_file *part)
{
    module_state *st = py_state_in(ex);
    headers given, all = {0};
    long status = py_read_status(st, message, SALTARE_SENDFILE, 200);
    if (status < 0 || py_read_headers(&given, st, message, SALTARE_SENDFILE) < 0) return -1;
    PyObject *pairs = given.pairs ? PySequence_List(given.pairs) : PyList_New(0); /* a new list, unchanged after the check */
    int failed = pairs == NULL || py_headers_read(&all, st, pairs, SALTARE_SENDFILE) < 0 || py_headers_check(&all, st) < 0 ? -1 : 0;
    if (failed == 0) {
        cut_to(part, all.content_length);
        int64_t declared = all.content_length < 0 ? (int64_t)part->len : all.content_length;
        failed = py_check_fit(ex, SALTARE_SENDFILE, (int)status, declared, (int64_t)part->len, false);
    }
    if (failed == 0 && all.content_length < 0) failed = add_length(pairs, part->len);
    py_headers_free(&all);
    all = (headers){.kind = SALTARE_SENDFILE, .pairs = pairs, .content_length = -1};
    if (failed == 0) failed = py_put_start(ex, &all, status);
    py_headers_free(&given);
    py_headers_free(&all);
    return failed;
}

/* As the first message it includes the head; after http.response.start it acts as http.response.pathsend. */
PyObject *py_send_file(exchange *ex, PyObject *message)
{
    struct saltare_file part;
    if (py_file_open(py_state_in(ex), message, SALTARE_SENDFILE, &part) < 0) return NULL;
    if (ex->started || start_file(ex, message, &part) == 0) return send_whole(ex, SALTARE_SENDFILE, &part);
    py_file_close(&part);
    return NULL;
}
