/* py_gathered.h: bytes joined from pieces: a request body that waits, a message that comes in frames. */
#ifndef SALTARE_PY_GATHERED_H
#define SALTARE_PY_GATHERED_H

#include "py_state.h"

/* Pieces that become one object. Nothing else may hold a reference to the bytes. */
typedef struct {
    PyObject *bytes;   /* with spare room; NULL: no piece has come, not even an empty one */
    Py_ssize_t filled; /* bytes in use */
} gathered;

/* Makes room for size more bytes, and some spare. -1 with an exception: the content may be lost. */
int py_gathered_reserve(gathered *self, Py_ssize_t size);
/* Adds a piece. Errors as for py_gathered_reserve. */
int py_gathered_add(gathered *self, const void *data, Py_ssize_t size);
/* Moves the content out: a new reference to a bytes object. NULL with an exception: the content is unchanged. */
PyObject *py_gathered_take(gathered *self);
void py_gathered_drop(gathered *self);

#endif
