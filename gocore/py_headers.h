/* py_headers.h: header fields that the app gives. */
#ifndef SALTARE_PY_HEADERS_H
#define SALTARE_PY_HEADERS_H

#include "py_state.h"

/* Header fields as a command carries them. */
typedef struct headers {
    const char *kind;       /* type of the message, for its errors */
    PyObject *pairs;        /* tuple or list of tuples or lists; NULL: no fields */
    size_t size;            /* of the payload */
    int64_t content_length; /* that is declared among them, -1: none */
} headers;

/* Reads `given` of a message of that kind, an iterable of pairs of bytes, None or NULL. May run Python code. Owns:
 * py_headers_free. -1 with an exception. */
int py_headers_read(headers *self, module_state *st, PyObject *given, const char *kind);
/* Checks every field, without running Python code but to refuse one. -1 with an exception. */
int py_headers_check(headers *self, module_state *st);
void py_headers_put(const headers *self, uint8_t *at);
void py_headers_free(headers *self);

#endif
