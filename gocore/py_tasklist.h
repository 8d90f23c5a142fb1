/* py_tasklist.h: asyncio's list of all tasks, before CPython 3.12. */
#ifndef SALTARE_PY_TASKLIST_H
#define SALTARE_PY_TASKLIST_H

#include "py_state.h"

typedef struct {
    PyObject *add;           /* adds a task */
    PyObject *references;    /* set of weak references, the content of the list */
    PyTypeObject *step_type; /* of steps of Task in C, once one was seen */
} tasklist;

/* Finds the list, and overrides its `add`. -1 with an exception. */
int py_tasklist_open(tasklist *self);
/* New reference to asyncio's dict of current tasks, by loop; NULL with an exception. */
PyObject *py_tasklist_current(void);
/* Sets whether a task that this thread creates stays out of the list. */
void py_tasklist_leave_out(bool yes);
/* Adds a task for its first step. New reference, to pass to py_tasklist_end_step; NULL with an exception. */
PyObject *py_tasklist_enter(tasklist *self, PyObject *task);
/* After the first step: removes the task, or adds it for good. Steals reference. -1 with an exception. */
int py_tasklist_end_step(tasklist *self, PyObject *task, PyObject *reference, bool goes_on);

/* Whether a callback is a step of asyncio's Task in C. The loop runs steps of Tasks in Python (nest_asyncio makes all so). */
bool py_tasklist_is_step(tasklist *self, PyObject *callback);

#endif
