/* py_starter.h: type Starter, which creates a task for each request, for the core. */
#ifndef SALTARE_PY_STARTER_H
#define SALTARE_PY_STARTER_H

#include "py_state.h"

#include "py_exchange.h"

typedef struct starter starter;

/* Starts the app on a request; at_once: its first step may be taken now. -1 with an exception. */
int py_starter_start(starter *self, exchange *ex, PyObject *scope, bool at_once);
/* Cancels the task of the app on a request, if it has not ended. -1 with an exception. */
int py_starter_cancel(starter *self, exchange *ex);
/* Tasks that have not ended. */
uint64_t py_starter_tasks(PyObject *starter);
/* Releases memory that a burst of requests has left. */
void py_starter_shrink(starter *self);

extern PyType_Spec py_starter_spec;

#endif
