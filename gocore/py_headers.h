/* py_headers.h: header fields from the app. */
#ifndef SALTARE_PY_HEADERS_H
#define SALTARE_PY_HEADERS_H

#include "py_state.h"

/* Header fields for a command. */
typedef struct headers {
    const char *kind;       /* type of the message, for error texts */
    PyObject *pairs;        /* tuple or list of tuples or lists; NULL: no fields */
    size_t size;            /* of the payload */
    int64_t content_length; /* declared by a field, -1: none */
} headers;

/* Reads `given`, the headers of a message of that kind: an iterable of pairs of bytes, None or NULL. May run Python code. Owns:
 * py_headers_free. -1 with an exception. */
int py_headers_read(headers *self, module_state *st, PyObject *given, const char *kind);
/* Checks every field. Runs Python code only to reject a field. -1 with an exception. */
int py_headers_check(headers *self, module_state *st);
void py_headers_put(const headers *self, uint8_t *at);
void py_headers_free(headers *self);

#endif
