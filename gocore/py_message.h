/* py_message.h: ASGI messages, which are dicts. */
#ifndef SALTARE_PY_MESSAGE_H
#define SALTARE_PY_MESSAGE_H

#include "py_state.h"

/* New reference to a dict with that type; NULL with an exception. */
PyObject *py_message(module_state *st, PyObject *type);

/* New reference to an item of the message: code that runs on the item may change the message. NULL, without an exception,
 * if there is none. */
static inline PyObject *py_item(PyObject *message, PyObject *key) { return Py_XNewRef(PyDict_GetItemWithError(message, key)); }

/* Whether an item is true; a missing item counts as false. May run Python code. -1 with an exception. */
int py_item_is_true(PyObject *message, PyObject *key);
/* Whether the type of a message, a str, equals name. */
bool py_is_kind(PyObject *type, const char *name, Py_ssize_t len);
/* Replaces a CPython exception about an item of a message by ours, which names the message type; the first is its cause. */
void py_name_error(module_state *st, PyObject *type);

#endif
