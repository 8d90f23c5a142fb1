/* type Run: the app's work on one request, as the coroutine that its task steps through.
 *
 * It does `await app(scope, receive, send)` and handles the outcome, without a Python frame of its own. Like a coroutine it
 * has send(), throw() and close(), and it shows the app's frame to debuggers. */
#include "py_run.h"

#include "py_awaitable.h"
#include "py_websocket.h"

struct run {
    PyObject_HEAD
    run_owner *owner;
    exchange *ex;
    PyObject *scope;
    PyObject *steps; /* iterator of the app's awaitable; NULL before the first step */
    char stepping;   /* a step is running */
    char over;
};

run *py_run_new(run_owner *owner, exchange *ex, PyObject *scope)
{
    run *self = PyObject_GC_New(run, owner->state->run_type);
    if (self == NULL) return NULL;
    self->owner = (run_owner *)Py_NewRef(owner);
    self->ex = (exchange *)Py_NewRef(ex);
    self->scope = Py_NewRef(scope);
    self->steps = NULL;
    self->stepping = self->over = 0;
    PyObject_GC_Track(self);
    return self;
}

bool py_run_over(run *self) { return self->over; }

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* Calls the app. Returns the iterator of its awaitable, as `await` gets it; NULL with an exception. */
static PyObject *call_app(run *self)
{
    PyObject *receive = py_exchange_receive_method(self->ex), *send = py_exchange_send_method(self->ex), *result = NULL;
    PyObject *scope = Py_NewRef(self->scope), *app = Py_NewRef(self->owner->app);
    if (receive != NULL && send != NULL) {
        PyObject *args[] = {scope, receive, send};
        result = PyObject_Vectorcall(app, args, 3, NULL);
    }
    Py_DECREF(app);
    Py_DECREF(scope);
    Py_XDECREF(receive);
    Py_XDECREF(send);
    if (result == NULL || PyCoro_CheckExact(result)) return result;
    PyAsyncMethods *async = Py_TYPE(result)->tp_as_async;
    PyObject *steps = NULL;
    if (async != NULL && async->am_await != NULL) {
        steps = async->am_await(result);
    } else {
        PyErr_Format(PyExc_TypeError, "the app returned a %.100s, which is not awaitable: is it an ASGI 3 app?", Py_TYPE(result)->tp_name);
    }
    Py_DECREF(result);
    return steps;
}

/* The app has returned before its response was complete, which is allowed for a websocket. */
static int end_early(run *self)
{
    int closed = py_websocket_returned(self->ex);
    if (closed != 0) return closed < 0 ? -1 : 0;
    PyObject *result = PyObject_CallFunctionObjArgs(self->owner->incomplete, self->ex, self->scope, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The app has ended: called once, with its exception set if it raised one. Returns 0, or -1 with an exception to raise in
 * the task. */
static int finish(run *self)
{
    run_owner *owner = self->owner;
    exchange *ex = self->ex;
    int status = 0;
    self->over = 1;
    if (PyErr_Occurred()) {
        PyObject *type, *error, *traceback;
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        if (traceback != NULL) PyException_SetTraceback(error, traceback);
        PyObject *raise = PyObject_CallFunctionObjArgs(owner->failed, ex, self->scope, error, NULL);
        status = raise == NULL ? -1 : PyObject_IsTrue(raise);
        Py_XDECREF(raise);
        if (status > 0) {
            PyErr_Restore(type, error, traceback);
            status = -1;
        } else {
            Py_XDECREF(type);
            Py_XDECREF(error);
            Py_XDECREF(traceback);
        }
    } else if (!py_exchange_is_over(ex)) {
        status = end_early(self);
    }
    Py_CLEAR(self->steps);
    Py_CLEAR(self->scope);
    return py_starter_ended(owner, ex) < 0 ? -1 : status;
}

/* As with any coroutine, the app cannot call send(), throw() or close() within a step. */
static int refuse_within_step(run *self)
{
    if (!self->stepping) return 0;
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return -1;
}

static PySendResult run_am_send(run *self, PyObject *arg, PyObject **result)
{
    *result = NULL;
    if (refuse_within_step(self) < 0) return PYGEN_ERROR;
    if (self->over) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    PySendResult status = PYGEN_ERROR;
    self->stepping = 1;
    if (self->steps == NULL) self->steps = call_app(self);
    if (self->steps != NULL) status = PyIter_Send(self->steps, arg, result);
    self->stepping = 0;
    if (status == PYGEN_NEXT) return PYGEN_NEXT;
    Py_CLEAR(*result); /* the app's return value is ignored */
    if (finish(self) < 0) return PYGEN_ERROR;
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *run_next(run *self)
{
    PyObject *result;
    if (run_am_send(self, Py_None, &result) == PYGEN_RETURN) Py_CLEAR(result); /* no exception: StopIteration(None) */
    return result;
}

static PyObject *run_send(run *self, PyObject *arg)
{
    PyObject *result;
    if (run_am_send(self, arg, &result) == PYGEN_RETURN) {
        Py_CLEAR(result);
        PyErr_SetNone(PyExc_StopIteration);
    }
    return result;
}

static PyObject *run_throw(run *self, PyObject *args)
{
    PyObject *result = NULL;
    if (refuse_within_step(self) < 0) return NULL;
    if (self->steps == NULL || self->over) {
        py_raise_thrown(args);
        if (self->over) return NULL;
    } else {
        self->stepping = 1;
        PyObject *method = PyObject_GetAttr(self->steps, self->owner->state->s_throw);
        result = method ? PyObject_CallObject(method, args) : NULL;
        self->stepping = 0;
        Py_XDECREF(method);
        if (result != NULL) return result;
        if (PyErr_ExceptionMatches(PyExc_StopIteration)) PyErr_Clear();
    }
    if (finish(self) == 0) PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *run_close(run *self, PyObject *Py_UNUSED(ignored))
{
    if (refuse_within_step(self) < 0) return NULL;
    if (!self->over && self->steps != NULL) {
        self->stepping = 1;
        PyObject *result = PyObject_CallMethodNoArgs(self->steps, self->owner->state->s_close);
        self->stepping = 0;
        if (result == NULL) return NULL;
        Py_DECREF(result);
    }
    if (!self->over) {
        self->over = 1;
        Py_CLEAR(self->steps);
        if (py_exchange_fail(self->ex) < 0 || py_starter_ended(self->owner, self->ex) < 0) return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- attributes for debuggers --------------------------------------------------------------------------------- */

static PyObject *inner(run *self, void *name)
{
    if (self->steps == NULL) Py_RETURN_NONE;
    PyObject *steps = Py_NewRef(self->steps);
    PyObject *value = PyObject_GetAttrString(steps, name);
    Py_DECREF(steps);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) return value;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* The same for a boolean attribute. */
static PyObject *whether(run *self, void *name)
{
    PyObject *value = inner(self, name);
    if (value != Py_None) return value;
    Py_DECREF(value);
    Py_RETURN_FALSE;
}

/* An attribute of the app's function, or of its class if the app is a callable object. */
static PyObject *of_app(run *self, const char *name)
{
    PyObject *app = Py_NewRef(self->owner->app);
    PyObject *value = PyObject_GetAttrString(app, name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        PyObject *call = PyObject_GetAttrString((PyObject *)Py_TYPE(app), "__call__");
        value = call ? PyObject_GetAttrString(call, name) : NULL;
        Py_XDECREF(call);
    }
    Py_DECREF(app);
    return value;
}

/* The app's code; available also before its start and after its end. */
static PyObject *code(run *self, void *Py_UNUSED(closure))
{
    PyObject *value = inner(self, "cr_code");
    if (value != Py_None) return value;
    Py_SETREF(value, of_app(self, "__code__"));
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) return value;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* The name that asyncio shows for a task's coroutine. */
static PyObject *name_of(run *self, void *name)
{
    PyObject *value = inner(self, name);
    if (value != Py_None) return value;
    Py_SETREF(value, of_app(self, name));
    return value;
}

/* ---- the type ------------------------------------------------------------------------------------------------- */

static int run_traverse(run *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->ex);
    Py_VISIT(self->scope);
    Py_VISIT(self->steps);
    return 0;
}

/* Keeps the exchange and the starter: the methods rely on them, and no cycle needs to be broken there. */
static int run_clear(run *self)
{
    Py_CLEAR(self->scope);
    Py_CLEAR(self->steps);
    return 0;
}

static void run_dealloc(run *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    run_clear(self);
    Py_DECREF(self->owner);
    Py_DECREF(self->ex);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef run_methods[] = {
    {"send", (PyCFunction)run_send, METH_O, "send(None): as of a coroutine."},
    {"throw", (PyCFunction)run_throw, METH_VARARGS, "throw(exception): as of a coroutine."},
    {"close", (PyCFunction)run_close, METH_NOARGS, "close(): as of a coroutine."},
    {NULL},
};

static PyGetSetDef run_getset[] = {
    {"cr_await", (getter)inner, NULL, "What the app awaits.", "cr_await"},
    {"cr_code", (getter)code, NULL, "The app's code.", NULL},
    {"cr_frame", (getter)inner, NULL, "The app's frame.", "cr_frame"},
    {"cr_running", (getter)whether, NULL, "Whether the app is in a step.", "cr_running"},
    {"cr_suspended", (getter)whether, NULL, "Whether the app waits for something.", "cr_suspended"},
    {"__name__", (getter)name_of, NULL, "The name of the app.", "__name__"},
    {"__qualname__", (getter)name_of, NULL, "The name of the app, with the class it is a method of.", "__qualname__"},
    {NULL},
};

static PyType_Slot run_slots[] = {
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, run_am_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, run_next},
    {Py_tp_methods, run_methods},
    {Py_tp_getset, run_getset},
    {Py_tp_traverse, run_traverse},
    {Py_tp_clear, run_clear},
    {Py_tp_dealloc, run_dealloc},
    {0, NULL},
};

PyType_Spec py_run_spec = {
    .name = SALTARE_MODULE ".Run",
    .basicsize = sizeof(run),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = run_slots,
};
