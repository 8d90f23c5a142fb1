/* py_awaitable.h: type Awaitable, what receive() and send() return. */
#ifndef SALTARE_PY_AWAITABLE_H
#define SALTARE_PY_AWAITABLE_H

#include "py_state.h"

struct exchange; /* py_exchange.h */

/* What a receive() or send() comes to at this moment. PYGEN_RETURN: it is done with *result. PYGEN_NEXT: *result is a
 * future to wait for before it is asked again. PYGEN_ERROR: it ends with an exception. */
typedef PySendResult (*outcome)(struct exchange *ex, PyObject **result);

/* New reference to an awaitable that asks for the outcome when it is awaited, so one that is given up has taken nothing. */
PyObject *py_awaitable_new(module_state *state, struct exchange *ex, outcome ask);
/* New reference to one that is done with None as often as it is awaited. */
PyObject *py_awaitable_none(module_state *state);
/* Raises what throw() was given. */
void py_raise_thrown(PyObject *args);

extern PyType_Spec py_awaitable_spec;

#endif
