/* The awaitable that receive() and send() return: mostly one that is already done, so that awaiting it never leaves the
 * app's coroutine; under back-pressure one that waits for a future of the loop.  per request
 *
 * It has the methods of a coroutine, so create_task(receive()) works as it does with a function written in Python. */
#include "py_bridge.h"

typedef struct {
    PyObject_HEAD
    module_state *state;
    PyObject *value;    /* what it is done with; NULL once taken */
    PyObject *iterator; /* of the future; NULL: done */
    char again;         /* done with None as often as it is awaited */
} awaitable;

static awaitable *new_awaitable(module_state *state)
{
    awaitable *self = PyObject_GC_New(awaitable, state->awaitable_type);
    if (self == NULL) return NULL;
    self->state = state;
    self->value = self->iterator = NULL;
    self->again = 0;
    state->awaitables++;
    PyObject_GC_Track(self);
    return self;
}

PyObject *py_awaitable_done(module_state *state, PyObject *value)
{
    if (value == NULL) return NULL;
    awaitable *self = new_awaitable(state);
    if (self == NULL) {
        Py_DECREF(value);
        return NULL;
    }
    self->value = value;
    return (PyObject *)self;
}

PyObject *py_awaitable_none(module_state *state)
{
    awaitable *self = new_awaitable(state);
    if (self != NULL) self->again = 1;
    return (PyObject *)self;
}

PyObject *py_awaitable_future(module_state *state, PyObject *future)
{
    PyAsyncMethods *async = Py_TYPE(future)->tp_as_async;
    if (async == NULL || async->am_await == NULL) {
        PyErr_Format(PyExc_TypeError, "the loop's create_future() gave a %.100s, which is not awaitable", Py_TYPE(future)->tp_name);
        return NULL;
    }
    PyObject *iterator = async->am_await(future);
    if (iterator == NULL) return NULL;
    awaitable *self = new_awaitable(state);
    if (self == NULL) {
        Py_DECREF(iterator);
        return NULL;
    }
    self->iterator = iterator;
    return (PyObject *)self;
}

/* am_send: CPython up to 3.11 and asyncio's Task in C come this way. */
static PySendResult awaitable_am_send(awaitable *self, PyObject *arg, PyObject **result)
{
    if (self->again) {
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    if (self->iterator != NULL) {
        PySendResult status = PyIter_Send(self->iterator, arg, result);
        if (status != PYGEN_NEXT) Py_CLEAR(self->iterator);
        return status;
    }
    *result = self->value;
    self->value = NULL;
    if (*result != NULL) return PYGEN_RETURN;
    PyErr_SetString(PyExc_RuntimeError, "cannot await the same receive() or send() twice");
    return PYGEN_ERROR;
}

/* The result of a step as the iterator protocol has it. */
static PyObject *step(awaitable *self, PyObject *arg, bool from_iternext)
{
    PyObject *result;
    switch (awaitable_am_send(self, arg, &result)) {
    case PYGEN_NEXT: return result;
    case PYGEN_ERROR: return NULL;
    case PYGEN_RETURN: break;
    }
    if (result != Py_None || !from_iternext) { /* tp_iternext may end without an exception for None */
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    }
    Py_DECREF(result);
    return NULL;
}

static PyObject *awaitable_next(awaitable *self) { return step(self, Py_None, true); }

static PyObject *awaitable_send(awaitable *self, PyObject *arg) { return step(self, arg, false); }

static PyObject *awaitable_throw(awaitable *self, PyObject *args)
{
    if (self->iterator != NULL) {
        PyObject *method = PyObject_GetAttr(self->iterator, self->state->s_throw);
        PyObject *result = method ? PyObject_CallObject(method, args) : NULL;
        Py_XDECREF(method);
        if (result == NULL) Py_CLEAR(self->iterator);
        return result;
    }
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback)) return NULL;
    if (PyExceptionInstance_Check(type)) {
        value = type;
        type = (PyObject *)Py_TYPE(value);
    } else if (!PyExceptionClass_Check(type)) {
        return PyErr_Format(PyExc_TypeError, "throw() takes an exception, not %.100s", Py_TYPE(type)->tp_name);
    }
    if (value == Py_None) value = NULL;
    PyErr_SetObject(type, value ? value : Py_None);
    return NULL;
}

static PyObject *awaitable_close(awaitable *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *iterator = self->iterator;
    self->iterator = NULL;
    if (!self->again) Py_CLEAR(self->value);
    if (iterator != NULL) {
        PyObject *result = PyObject_CallMethodNoArgs(iterator, self->state->s_close);
        Py_DECREF(iterator);
        if (result == NULL) return NULL;
        Py_DECREF(result);
    }
    Py_RETURN_NONE;
}

static int awaitable_traverse(awaitable *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    Py_VISIT(self->iterator);
    return 0;
}

static int awaitable_clear(awaitable *self)
{
    Py_CLEAR(self->value);
    Py_CLEAR(self->iterator);
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
    .name = "saltare._core.Awaitable",
    .basicsize = sizeof(awaitable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = awaitable_slots,
};
