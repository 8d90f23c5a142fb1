/* py_hook.h: calls of hooks, which Python sets as attributes. */
#ifndef SALTARE_PY_HOOK_H
#define SALTARE_PY_HOOK_H

#include "py_state.h"

/* Calls a hook, which may be NULL (unset); the call may replace the hook. New reference, or NULL with an exception. */
PyObject *py_call_hook(PyObject *hook, const char *name, PyObject *const *args, size_t n);
/* Calls an optional hook without arguments. -1 with an exception. */
int py_call_if_set(PyObject *hook, const char *name);

#endif
