/* py_run.h: type Run, the app's work on one request, to the Starter that makes it. */
#ifndef SALTARE_PY_RUN_H
#define SALTARE_PY_RUN_H

#include "py_state.h"

#include "py_exchange.h"

/* A Starter begins with it: what a Run takes of its starter. */
typedef struct {
    PyObject_HEAD
    module_state *state;
    PyObject *app;
    PyObject *failed;     /* failed(exchange, scope, error) -> whether the task is to raise it */
    PyObject *incomplete; /* incomplete(exchange, scope) */
} run_owner;

typedef struct run run;

/* New reference, or NULL with an exception. */
run *py_run_new(run_owner *owner, exchange *ex, PyObject *scope);
bool py_run_over(run *self);

/* What a Run calls of its starter when the app is over (py_starter.c). -1 with an exception; one that is set already stays. */
int py_starter_ended(run_owner *owner, exchange *ex);

extern PyType_Spec py_run_spec;

#endif
