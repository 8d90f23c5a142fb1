/* Errors from Go as exceptions. */
#include "py_error.h"

#include <errno.h>

PyObject *py_raise_status(int64_t status, const char *doing)
{
    if (status == -ESTALE) {
        PyErr_Format(PyExc_RuntimeError, "%s: the core is closed", doing);
        return NULL;
    }
    errno = (int)-status;
    return PyErr_SetFromErrno(PyExc_OSError);
}
