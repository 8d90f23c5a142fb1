/* The awaitable that receive() and send() return. Most are done at their first step, so awaiting them never leaves the app's
 * coroutine; the others wait for a future of the loop.
 *
 * It has the methods of a coroutine, so create_task(receive()) works as it does with a function written in Python. */
#include "py_awaitable.h"

typedef struct {
    PyObject_HEAD
    module_state *state;
    struct exchange *ex;       /* NULL: done */
    outcome ask;
    PyObject *future;   /* the future it waits for, or NULL */
    char again;         /* returns None each time it is awaited */
    char yields;        /* lets the loop take a turn first */
} awaitable;

static PyObject *new_awaitable(module_state *state, struct exchange *ex, outcome ask)
{
    awaitable *self = PyObject_GC_New(awaitable, state->awaitable_type);
    if (self == NULL) return NULL;
    self->state = state;
    self->ex = (struct exchange *)Py_XNewRef(ex);
    self->ask = ask;
    self->future = NULL;
    self->again = ex == NULL;
    self->yields = 0;
    state->awaitables++;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyObject *py_awaitable_new(module_state *state, struct exchange *ex, outcome ask) { return new_awaitable(state, ex, ask); }

PyObject *py_awaitable_none(module_state *state) { return new_awaitable(state, NULL, NULL); }

PyObject *py_awaitable_turn(module_state *state)
{
    awaitable *self = (awaitable *)new_awaitable(state, NULL, NULL);
    if (self != NULL) self->yields = 1;
    return (PyObject *)self;
}

/* Yields a future to the task that will wait for it, and sets asyncio's flag, as the future's own __await__ does. Calling
 * __await__ would create iterators, of which CPython keeps hundreds for ever, scattered over the heap. Steals the future. */
static PySendResult yield(awaitable *self, PyObject *future, PyObject **result)
{
    if (PyObject_SetAttr(future, self->state->s_blocking, Py_True) < 0) {
        Py_DECREF(future);
        return PYGEN_ERROR;
    }
    Py_XSETREF(self->future, Py_NewRef(future));
    *result = future;
    return PYGEN_NEXT;
}

/* A step of the wait. PYGEN_NEXT: the wait continues, possibly because a second task awaits the same object. PYGEN_RETURN: the
 * wait is over; the future's result has no meaning. */
static PySendResult wait_on(awaitable *self, PyObject **result)
{
    PyObject *future = Py_NewRef(self->future); /* the calls below may close us */
    PyObject *done = PyObject_CallMethodNoArgs(future, self->state->s_done);
    int is_done = done ? PyObject_IsTrue(done) : -1;
    Py_XDECREF(done);
    if (is_done == 0) return yield(self, future, result);
    PyObject *nothing = is_done < 0 ? NULL : PyObject_CallMethodNoArgs(future, self->state->s_result);
    if (self->future == future) Py_CLEAR(self->future);
    Py_XDECREF(nothing);
    Py_DECREF(future);
    return nothing ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Calls self->ask. PYGEN_NEXT: the wait has begun. */
static PySendResult ask(awaitable *self, PyObject **result)
{
    if (self->ex == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot await the same receive() or send() twice");
        return PYGEN_ERROR;
    }
    struct exchange *ex = (struct exchange *)Py_NewRef(self->ex);
    PySendResult status = self->ask(ex, result);
    if (status == PYGEN_NEXT) status = yield(self, *result, result);
    if (status != PYGEN_NEXT) Py_CLEAR(self->ex);
    Py_DECREF(ex);
    return status;
}

/* am_send: used by asyncio's Task in C. */
static PySendResult awaitable_am_send(awaitable *self, PyObject *Py_UNUSED(arg), PyObject **result)
{
    if (self->again) {
        const bool yields = self->yields;
        self->yields = 0;
        *result = Py_NewRef(Py_None);
        return yields ? PYGEN_NEXT : PYGEN_RETURN;
    }
    PySendResult status = self->future ? wait_on(self, result) : PYGEN_RETURN;
    if (status == PYGEN_ERROR) Py_CLEAR(self->ex);
    if (status == PYGEN_RETURN) status = ask(self, result);
    if (status == PYGEN_ERROR) *result = NULL;
    return status;
}

/* The result of a step for the iterator protocol. */
static PyObject *step(awaitable *self, PyObject *arg, bool from_iternext)
{
    PyObject *result;
    switch (awaitable_am_send(self, arg, &result)) {
    case PYGEN_NEXT: return result;
    case PYGEN_ERROR: return NULL;
    case PYGEN_RETURN: break;
    }
    /* tp_iternext may end without an exception for None; messages are dicts, so they need no wrapping in a tuple. */
    if (result != Py_None || !from_iternext) PyErr_SetObject(PyExc_StopIteration, result);
    Py_DECREF(result);
    return NULL;
}

static PyObject *awaitable_next(awaitable *self) { return step(self, Py_None, true); }

static PyObject *awaitable_send(awaitable *self, PyObject *arg) { return step(self, arg, false); }

void py_raise_thrown(PyObject *args)
{
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback)) return;
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    } else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value ? value : Py_None);
    } else {
        PyErr_Format(PyExc_TypeError, "throw() takes an exception, not %.100s", Py_TYPE(type)->tp_name);
    }
}

static void give_up(awaitable *self)
{
    Py_CLEAR(self->future);
    Py_CLEAR(self->ex);
}

static PyObject *awaitable_throw(awaitable *self, PyObject *args)
{
    give_up(self);
    py_raise_thrown(args);
    return NULL;
}

static PyObject *awaitable_close(awaitable *self, PyObject *Py_UNUSED(ignored))
{
    give_up(self);
    Py_RETURN_NONE;
}

static int awaitable_traverse(awaitable *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ex);
    Py_VISIT(self->future);
    return 0;
}

static int awaitable_clear(awaitable *self)
{
    Py_CLEAR(self->ex);
    Py_CLEAR(self->future);
    return 0;
}

static void awaitable_dealloc(awaitable *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    awaitable_clear(self);
    self->state->awaitables--;
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef awaitable_methods[] = {
    {"send", (PyCFunction)awaitable_send, METH_O, "send(None): as of a coroutine."},
    {"throw", (PyCFunction)awaitable_throw, METH_VARARGS, "throw(exception): as of a coroutine."},
    {"close", (PyCFunction)awaitable_close, METH_NOARGS, "close(): as of a coroutine."},
    {NULL},
};

static PyType_Slot awaitable_slots[] = {
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, awaitable_am_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, awaitable_next},
    {Py_tp_methods, awaitable_methods},
    {Py_tp_traverse, awaitable_traverse},
    {Py_tp_clear, awaitable_clear},
    {Py_tp_dealloc, awaitable_dealloc},
    {0, NULL},
};

PyType_Spec py_awaitable_spec = {
    .name = SALTARE_MODULE ".Awaitable",
    .basicsize = sizeof(awaitable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = awaitable_slots,
};
