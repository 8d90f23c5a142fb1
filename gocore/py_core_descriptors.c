/* The application's descriptors, which the core watches for its loop. */
#include "py_core_type.h"

#include <sys/epoll.h>

#include "py_error.h"
#include "py_fork.h"

/* New reference to the key of a descriptor. NULL, without an exception, if it is not watched. */
static PyObject *key_of(core *self, PyObject *number) { return Py_XNewRef(PyDict_GetItemWithError(self->keys, number)); }

int py_core_on_descriptor(core *self, const struct saltare_event *event, PyObject **ready)
{
    PyObject *number = PyLong_FromUnsignedLongLong(event->stream);
    PyObject *key = number ? key_of(self, number) : NULL;
    Py_XDECREF(number);
    if (key == NULL) return PyErr_Occurred() ? -1 : 0; /* unregistered in this turn */
    long mask = (event->flags & ~(uint32_t)EPOLLOUT ? 1 : 0) | (event->flags & ~(uint32_t)EPOLLIN ? 2 : 0);
    PyObject *pair = Py_BuildValue("(Nl)", key, mask);
    if (pair == NULL) return -1;
    if (*ready == NULL) *ready = PyList_New(0);
    int status = *ready ? PyList_Append(*ready, pair) : -1;
    Py_DECREF(pair);
    return status;
}

PyObject *py_core_watch(core *self, PyObject *args)
{
    int fd, mask;
    PyObject *key;
    if (!PyArg_ParseTuple(args, "iiO:watch", &fd, &mask, &key) || py_core_usable(self, "watch") < 0) return NULL;
    PyObject *number = PyLong_FromLong(fd);
    PyObject *before = number ? key_of(self, number) : NULL; /* held, so that its finalizer finds table and epoll set in agreement */
    int32_t status = -1;
    bool entered = number != NULL && !PyErr_Occurred() && PyDict_SetItem(self->keys, number, key) == 0;
    if (entered) status = saltare_watch(self->handle, fd, (mask & 1 ? EPOLLIN : 0) | (mask & 2 ? EPOLLOUT : 0));
    if (entered && status < 0) {
        if (PyDict_DelItem(self->keys, number) < 0) PyErr_Clear();
        py_raise_status(status, "watch");
    }
    Py_XDECREF(number);
    Py_XDECREF(before);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *py_core_unwatch(core *self, PyObject *given)
{
    long fd = PyLong_AsLong(given);
    if ((fd == -1 && PyErr_Occurred()) || (self->keys == NULL && py_core_usable(self, "unwatch") < 0)) return NULL;
    PyObject *number = PyLong_FromLong(fd);
    PyObject *before = number ? key_of(self, number) : NULL; /* as in watch() */
    int status = number == NULL || (before == NULL && PyErr_Occurred()) ? -1 : PyDict_DelItem(self->keys, number);
    /* Closing a descriptor removes it from the set; in a forked child the set belongs to the parent. */
    if (status == 0 && self->handle != 0 && !py_forked()) saltare_watch(self->handle, (int32_t)fd, 0);
    Py_XDECREF(number);
    Py_XDECREF(before);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}
