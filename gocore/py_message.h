/* py_message.h: messages of ASGI, which are dicts. */
#ifndef SALTARE_PY_MESSAGE_H
#define SALTARE_PY_MESSAGE_H

#include "py_state.h"

/* New reference to a dict with that type; NULL with an exception. */
PyObject *py_message(module_state *st, PyObject *type);

/* New reference to an item of the message, which is held because whoever looks at it may change the message. NULL without
 * exception when there is none. */
static inline PyObject *py_item(PyObject *message, PyObject *key) { return Py_XNewRef(PyDict_GetItemWithError(message, key)); }

/* Whether an item is true; one that is missing is not. May run Python code. -1 with an exception. */
int py_item_is_true(PyObject *message, PyObject *key);
/* Whether the type of a message, a str, is that name. */
bool py_is_kind(PyObject *type, const char *name, Py_ssize_t len);
/* Gives an exception of CPython's about an item of a message of that type a name of ours, with it as the cause. */
void py_name_error(module_state *st, PyObject *type);

#endif
