/* py_state.h: the rule that every py_*.c is read against, CPython's headers, and the state of a module. Included first.
 *
 * The rule of this border: nothing borrowed survives a call that may run Python. Such a call is one that
 *
 *   - allocates what the collector knows (a dict, tuple, list, function, exception, or object of a type of ours): on CPython
 *     3.10 and 3.11 that may collect garbage, and a finalizer may close, send, receive, or remove a reader;
 *   - calls, compares, converts (a number, a path, a buffer), iterates, formats with %R or %S, or looks up an attribute;
 *   - drops the last reference to what is not exactly a bytes, str or int.
 *
 * "Borrowed" is a PyObject * without a reference of its own (an item of a list or dict, a field that may be set or cleared),
 * a pointer into a table, a mailbox or an outbox, and what was checked: a flag, a length, an order. So in each function:
 *
 *   - what may run Python comes first, then the looking, then the act. Where that cannot be, the look is repeated;
 *   - a function that acts leaves its object consistent before it drops anything;
 *   - a hook is held while it is called (py_call_hook), since the call may replace it;
 *   - a list under construction is filled by PyList_Append, or is unknown to the collector until it is full: one that has
 *     empty places must not be found by gc.get_objects().
 *
 * `self`, `ex` and the arguments of a method are held by whoever calls it. An event of a turn is valid until the next turn,
 * and no turn can be taken while it is worked on, but for one moment: the app's first step, after which nothing of the event
 * is needed (py_core_turn.c). tests/adversary runs the border with a collector that does the worst at each allocation. */
#ifndef SALTARE_PY_STATE_H
#define SALTARE_PY_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "py_names.h"

#define KNOWN_NAMES_MAX 128

/* Per module: what would otherwise be global. */
typedef struct {
#define TYPE(member, spec) PyTypeObject *member;
#define OBJECT(member, text) PyObject *member;
    EACH_TYPE(TYPE)
    EACH_ERROR(OBJECT)
    EACH_NAME(OBJECT)
#undef TYPE
#undef OBJECT
    PyObject *sent; /* the awaitable of a send that is done */
    PyObject *empty_bytes, *empty_tuple;
    PyObject *known_names[KNOWN_NAMES_MAX]; /* bytes, by saltare_field.id */
    /* debug counters; each ends at zero */
    Py_ssize_t cores, exchanges, awaitables, borrowed;
} module_state;

/* The state of the module that a type of ours belongs to. NULL with an exception. */
module_state *py_state(PyTypeObject *type);
/* The same of a module, which has none before py_state_open; NULL then, without exception. */
module_state *py_state_of(PyObject *module);
/* Gives a module its state, all but the types and what is made of them. -1 with an exception. */
int py_state_open(PyObject *module);
int py_state_traverse(PyObject *module, visitproc visit, void *arg);
int py_state_clear(PyObject *module);
void py_state_free(PyObject *module);

#endif
