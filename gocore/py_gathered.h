/* py_gathered.h: bytes put together of pieces: a request body that waits, a message that comes in frames. */
#ifndef SALTARE_PY_GATHERED_H
#define SALTARE_PY_GATHERED_H

#include "py_state.h"

/* What comes in pieces and is to be one object. Nothing else may have a reference to the bytes. */
typedef struct {
    PyObject *bytes;   /* with room for more; NULL: nothing has come, not even an empty piece */
    Py_ssize_t filled; /* of them */
} gathered;

/* Makes room for size bytes more, and some for what may follow them. -1 with an exception: what was there may be lost. */
int py_gathered_reserve(gathered *self, Py_ssize_t size);
/* Adds a piece, with the same outcome. */
int py_gathered_add(gathered *self, const void *data, Py_ssize_t size);
/* New reference to a bytes object of what came, of which nothing is left here. NULL with an exception: it is all still here. */
PyObject *py_gathered_take(gathered *self);
void py_gathered_drop(gathered *self);

#endif
