/* py_run.h: type Run, the app's work on one request, for the Starter that creates it. */
#ifndef SALTARE_PY_RUN_H
#define SALTARE_PY_RUN_H

#include "py_state.h"

#include "py_exchange.h"

/* The part of a Starter that its Runs use. A Starter begins with it. */
typedef struct {
    PyObject_HEAD
    module_state *state;
    PyObject *app;
    PyObject *failed;     /* failed(exchange, scope, error) -> whether the task raises the error */
    PyObject *incomplete; /* incomplete(exchange, scope) */
} run_owner;

typedef struct run run;

/* New reference, or NULL with an exception. */
run *py_run_new(run_owner *owner, exchange *ex, PyObject *scope);
bool py_run_over(run *self);

/* Called by a Run when the app has ended (py_starter.c). -1 with an exception; an exception that is already set stays. */
int py_starter_ended(run_owner *owner, exchange *ex);

extern PyType_Spec py_run_spec;

#endif
