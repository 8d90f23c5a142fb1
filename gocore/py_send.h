/* py_send.h: send(): what its files share, and what websockets use of it. */
#ifndef SALTARE_PY_SEND_H
#define SALTARE_PY_SEND_H

#include "py_exchange_type.h"
#include "py_headers.h"

/* Message types used in more than one file. */
#define HTTP_START "http.response.start"
#define HTTP_TRAILERS "http.response.trailers"
#define HTTP_PATHSEND "http.response.pathsend"
#define HTTP_ZEROCOPYSEND "http.response.zerocopysend"
#define SALTARE_SENDFILE "saltare.sendfile"

/* Checks that a response may still be sent; -1 with an exception. Repeat it after reading objects of the app, since that may
 * run any code. */
int py_check_open(exchange *ex, const char *kind);

/* ---- the head (py_send.c) ---- */

/* Sends the head of a response; the message may be of another kind than http.response.start. */
PyObject *py_send_start(exchange *ex, PyObject *message, const char *kind);
/* The status of a message, or -1 with an exception. otherwise: result when it has none; -1: that is an error. */
long py_read_status(module_state *st, PyObject *message, const char *kind, long otherwise);
/* Reads the headers of a message: the steps that may run Python code. Owns: py_headers_free. -1 with an exception. */
int py_read_headers(headers *fields, module_state *st, PyObject *message, const char *kind);
/* Checks the fields and sends a head. -1 with an exception. */
int py_put_start(exchange *ex, headers *fields, long status);
/* Adds a command with fields. -1 with an exception. */
int py_put_fields(exchange *ex, headers *fields, int command, int flags, long arg);

/* ---- the body (py_send_body.c) ---- */

/* Sends a piece of a body; the message may be of another kind than http.response.body. */
PyObject *py_send_body(exchange *ex, PyObject *message, const char *kind);
/* Checks that a piece of the body is allowed at this point. -1 with an exception. */
int py_check_turn(exchange *ex, const char *kind);
/* Checks that a body of `sent` bytes, the current piece included, fits the head. -1 with an exception. */
int py_check_fit(exchange *ex, const char *kind, int status, int64_t declared, int64_t sent, bool more);
/* Checks that a piece of `size` bytes fits the response. -1 with an exception. */
int py_check_piece(exchange *ex, const char *kind, int64_t size, bool more);
/* Add a command that copies the bytes, or one that lends Go the bytes of an object. -1 with an exception. */
int py_put_copied(exchange *ex, int command, int flags, const void *bytes, Py_ssize_t size);
int py_put_borrowed(exchange *ex, int command, int flags, PyObject *owner, const void *bytes, Py_ssize_t size);
#define NOT_WHOLE SIZE_MAX
/* Where the response's start is in the outbox, if a piece added now would be the whole body and follow it directly, and the app has
 * declared no length; else NOT_WHOLE. Once the piece is added, py_mark_whole tells Go so. */
size_t py_start_before(exchange *ex, bool more);
void py_mark_whole(exchange *ex, size_t start);
/* The flags of a piece: COMMAND_MORE if the response continues after it. */
int py_more_flag(exchange *ex, bool more);
/* The awaitable for the app after `size` bytes went into the outbox. */
PyObject *py_pace(exchange *ex, int64_t size);
/* The same after a piece of the body, which counts `cost` besides its bytes. */
PyObject *py_after_piece(exchange *ex, int64_t size, int64_t cost, bool more);

/* ---- files (py_send_file.c) ---- */

/* send() of a message that names a file. */
PyObject *py_send_path(exchange *ex, PyObject *message);
PyObject *py_send_zero_copy(exchange *ex, PyObject *message);
PyObject *py_send_file(exchange *ex, PyObject *message);

#endif
