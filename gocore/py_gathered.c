/* Bytes joined from pieces: a request body that waits, a message that comes in frames. */
#include "py_gathered.h"

#include <string.h>

int py_gathered_reserve(gathered *self, Py_ssize_t size)
{
    Py_ssize_t room = self->bytes ? PyBytes_GET_SIZE(self->bytes) : 0, need = self->filled + size;
    if (self->bytes == NULL) {
        self->bytes = PyBytes_FromStringAndSize(NULL, need); /* not from data: CPython shares some bytes objects */
        return self->bytes ? 0 : -1;
    }
    if (need <= room) return 0;
    if (_PyBytes_Resize(&self->bytes, need > room + room / 2 ? need : room + room / 2) == 0) return 0;
    self->filled = 0;
    return -1;
}

int py_gathered_add(gathered *self, const void *data, Py_ssize_t size)
{
    if (py_gathered_reserve(self, size) < 0) return -1;
    if (size > 0) memcpy(PyBytes_AS_STRING(self->bytes) + self->filled, data, (size_t)size);
    self->filled += size;
    return 0;
}

PyObject *py_gathered_take(gathered *self)
{
    PyObject *bytes = self->bytes;
    if (PyBytes_GET_SIZE(bytes) != self->filled) {
        bytes = PyBytes_FromStringAndSize(PyBytes_AS_STRING(bytes), self->filled);
        if (bytes == NULL) return NULL;
        Py_DECREF(self->bytes);
    }
    *self = (gathered){0};
    return bytes;
}

void py_gathered_drop(gathered *self)
{
    Py_CLEAR(self->bytes);
    self->filled = 0;
}
