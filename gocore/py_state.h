/* py_state.h: the rule that every py_*.c must follow, CPython's headers, and the state of a module. Included first.
 *
 * The rule: nothing borrowed survives a call that may run Python. Such a call is one that
 *
 *   - allocates an object that the collector tracks (a dict, tuple, list, function, exception, or object of our types): on CPython
 *     3.10 and 3.11 that may collect garbage, and a finalizer may close, send, receive, or remove a reader;
 *   - calls, compares, converts (a number, a path, a buffer), iterates, formats with %R or %S, or looks up an attribute;
 *   - drops the last reference to an object that is not exactly a bytes, str or int.
 *
 * "Borrowed" is a PyObject * without a reference of its own (an item of a list or dict, a field that may be set or cleared),
 * a pointer into a table, a mailbox or an outbox, and the result of a check: a flag, a length, an order. So each function:
 *
 *   - first makes the calls that may run Python, then checks, then acts. Where that is impossible, it repeats the check;
 *   - leaves its object consistent before it drops anything;
 *   - holds a hook while calling it (py_call_hook), since the call may replace the hook;
 *   - fills a new list by PyList_Append, or hides it from the collector until it is full: gc.get_objects() must not find a list
 *     with empty slots.
 *
 * The caller of a method holds `self`, `ex` and the arguments. An event of a turn is valid until the next turn. While an event
 * is handled, a turn can be taken at one point only: in the app's first step, after which nothing of the event is needed
 * (py_core_turn.c). tests/adversary runs this code with finalizers that act at each allocation. */
#ifndef SALTARE_PY_STATE_H
#define SALTARE_PY_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "py_names.h"

/* The name of the module: each flavour of the core has its own. */
#ifdef SALTARE_FULL
#define SALTARE_MODULE "saltare._core_full"
#define SALTARE_INIT PyInit__core_full
#else
#define SALTARE_MODULE "saltare._core"
#define SALTARE_INIT PyInit__core
#endif

#define KNOWN_NAMES_MAX 128

/* State per module, instead of globals. */
typedef struct {
#define TYPE(member, spec) PyTypeObject *member;
#define OBJECT(member, text) PyObject *member;
    EACH_TYPE(TYPE)
    EACH_ERROR(OBJECT)
    EACH_NAME(OBJECT)
#undef TYPE
#undef OBJECT
    PyObject *sent; /* the awaitable of a finished send() */
    PyObject *empty_bytes, *empty_tuple;
    PyObject *known_names[KNOWN_NAMES_MAX]; /* bytes, indexed by saltare_field.id */
    /* debug counters; each must end at zero */
    Py_ssize_t cores, exchanges, awaitables, borrowed;
} module_state;

/* The state of the module that one of our types belongs to. NULL with an exception. */
module_state *py_state(PyTypeObject *type);
/* The state of a module; before py_state_open it is NULL, without an exception. */
module_state *py_state_of(PyObject *module);
/* Creates the state of a module, except the types and their instances. -1 with an exception. */
int py_state_open(PyObject *module);
int py_state_traverse(PyObject *module, visitproc visit, void *arg);
int py_state_clear(PyObject *module);
void py_state_free(PyObject *module);

#endif
