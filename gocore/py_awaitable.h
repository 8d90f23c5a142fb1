/* py_awaitable.h: type Awaitable, what receive() and send() return. */
#ifndef SALTARE_PY_AWAITABLE_H
#define SALTARE_PY_AWAITABLE_H

#include "py_state.h"

struct exchange; /* py_exchange.h */

/* The present outcome of a receive() or send(). PYGEN_RETURN: done, with *result. PYGEN_NEXT: *result is a future to wait for
 * before the next call. PYGEN_ERROR: failed with an exception. */
typedef PySendResult (*outcome)(struct exchange *ex, PyObject **result);

/* New reference to an awaitable that calls `ask` only when awaited, so an abandoned awaitable loses no message. */
PyObject *py_awaitable_new(module_state *state, struct exchange *ex, outcome ask);
/* New reference to an awaitable that returns None each time it is awaited. */
PyObject *py_awaitable_none(module_state *state);
/* New reference to an awaitable that lets the loop take a turn, as asyncio.sleep(0) does, and then returns None. */
PyObject *py_awaitable_turn(module_state *state);
/* Raises the exception passed to throw(). */
void py_raise_thrown(PyObject *args);

extern PyType_Spec py_awaitable_spec;

#endif
