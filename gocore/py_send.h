/* py_send.h: send(): what its files share, and what a websocket takes of it. */
#ifndef SALTARE_PY_SEND_H
#define SALTARE_PY_SEND_H

#include "py_exchange_type.h"
#include "py_headers.h"

/* Types of messages that more than one of the files names. */
#define HTTP_START "http.response.start"
#define HTTP_TRAILERS "http.response.trailers"
#define HTTP_PATHSEND "http.response.pathsend"
#define HTTP_ZEROCOPYSEND "http.response.zerocopysend"
#define SALTARE_SENDFILE "saltare.sendfile"

/* Whether an answer may still be sent; -1 with an exception. Asked again after the app's objects were looked at, since
 * that may run any code. */
int py_check_open(exchange *ex, const char *kind);

/* ---- the head (py_send.c) ---- */

/* Head of an answer, of a message that may be of another kind than http.response.start. */
PyObject *py_send_start(exchange *ex, PyObject *message, const char *kind);
/* The status of a message, or -1 with an exception. otherwise: when it has none; -1 then is an error. */
long py_read_status(module_state *st, PyObject *message, const char *kind, long otherwise);
/* Reads the headers of a message, as far as that may run Python code. Owns: py_headers_free. -1 with an exception. */
int py_read_headers(headers *fields, module_state *st, PyObject *message, const char *kind);
/* Sends a head whose fields are not checked yet. -1 with an exception. */
int py_put_start(exchange *ex, headers *fields, long status);
/* A command that carries fields. -1 with an exception. */
int py_put_fields(exchange *ex, headers *fields, int command, int flags, long arg);

/* ---- the body (py_send_body.c) ---- */

/* Piece of a body, of a message that may be of another kind than http.response.body. */
PyObject *py_send_body(exchange *ex, PyObject *message, const char *kind);
/* Whether a piece of the body is in its place. -1 with an exception. */
int py_check_turn(exchange *ex, const char *kind);
/* Whether a body of `sent` bytes, the piece at hand included, fits a head. -1 with an exception. */
int py_check_fit(exchange *ex, const char *kind, int status, int64_t declared, int64_t sent, bool more);
/* Whether a piece of so many bytes has its place in the answer. -1 with an exception. */
int py_check_piece(exchange *ex, const char *kind, int64_t size, bool more);
/* Commands that carry a copy of bytes, or lend Go those of an object. -1 with an exception. */
int py_put_copied(exchange *ex, int command, int flags, const void *bytes, Py_ssize_t size);
int py_put_borrowed(exchange *ex, int command, int flags, PyObject *owner, const void *bytes, Py_ssize_t size);
/* The flags of a piece: whether the answer goes on after it. */
int py_more_flag(exchange *ex, bool more);
/* After so many bytes went into the outbox: the awaitable for the app. */
PyObject *py_pace(exchange *ex, int64_t size);
/* The same after a piece of the body, which counts so much besides. */
PyObject *py_after_piece(exchange *ex, int64_t size, int64_t cost, bool more);

/* ---- files (py_send_file.c) ---- */

/* send() of a message that names a file. */
PyObject *py_send_path(exchange *ex, PyObject *message);
PyObject *py_send_zero_copy(exchange *ex, PyObject *message);
PyObject *py_send_file(exchange *ex, PyObject *message);

#endif
