/* py_error.h: errors from Go as exceptions. */
#ifndef SALTARE_PY_ERROR_H
#define SALTARE_PY_ERROR_H

#include "py_state.h"

/* Sets the exception for a negative status of a saltare_ function; returns NULL. */
PyObject *py_raise_status(int64_t status, const char *doing);

#endif
