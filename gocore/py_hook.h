/* py_hook.h: calls of what Python has set as an attribute. */
#ifndef SALTARE_PY_HOOK_H
#define SALTARE_PY_HOOK_H

#include "py_state.h"

/* Calls a hook, which may be NULL: unset; the call itself may replace it. New reference, or NULL with an exception. */
PyObject *py_call_hook(PyObject *hook, const char *name, PyObject *const *args, size_t n);
/* The same without arguments, where it need not be set. -1 with an exception. */
int py_call_if_set(PyObject *hook, const char *name);

#endif
