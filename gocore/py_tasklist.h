/* py_tasklist.h: asyncio's list of all tasks, before CPython 3.12. */
#ifndef SALTARE_PY_TASKLIST_H
#define SALTARE_PY_TASKLIST_H

#include "py_state.h"

typedef struct {
    PyObject *add;        /* enters a task */
    PyObject *references; /* set of weak references, the content of the list */
} tasklist;

/* Finds the list, and shadows its `add`. -1 with an exception. */
int py_tasklist_open(tasklist *self);
/* New reference to asyncio's dict of the task in a step, by loop; NULL with an exception. */
PyObject *py_tasklist_current(void);
/* Whether the task that this thread makes now stays out of it. */
void py_tasklist_leave_out(bool yes);
/* Enters a task for its first step. New reference, to be given to py_tasklist_settle; NULL with an exception. */
PyObject *py_tasklist_enter(tasklist *self, PyObject *task);
/* After the first step: takes the task out again, or enters it for good. Steals reference. -1 with an exception. */
int py_tasklist_settle(tasklist *self, PyObject *task, PyObject *reference, bool goes_on);

#endif
