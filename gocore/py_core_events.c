/* The events of a turn: each goes to its exchange or to a hook. */
#include "py_core_type.h"

#include "py_exchange.h"
#include "py_hook.h"
#include "py_starter.h"
#include "py_websocket.h"

static int dispatch(core *self, exchange *ex, PyObject *scope)
{
    if (self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->loop.state->starter_type)) {
        starter *st = (starter *)Py_NewRef(self->dispatch);
        self->stepping = true;
        int status = py_starter_start(st, ex, scope, self->depth == 1);
        self->stepping = false;
        Py_DECREF(st);
        return status;
    }
    PyObject *args[] = {(PyObject *)ex, scope};
    PyObject *result = py_call_hook(self->dispatch, "dispatch", args, 2);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Ends a stream without a response, since the app could not be started on it. */
static int refuse(core *self, const struct saltare_event *event, exchange *ex)
{
    if (ex != NULL) return py_exchange_fail(ex);
    return py_command(&self->loop, COMMAND_ABORT, 0, 0, event->stream, 0) ? 0 : -1;
}

static int on_request(core *self, const struct saltare_event *event)
{
    int status = -1;
    exchange *ex = event->flags & EVENT_WEBSOCKET ? py_websocket_new(&self->loop, event) : py_exchange_new(&self->loop, event);
    PyObject *scope = ex == NULL || py_exchange_enter(&self->loop, ex) < 0 ? NULL : py_scope(&self->scopes, self->loop.state, event);
    if (scope != NULL) {
        status = dispatch(self, ex, scope);
        Py_DECREF(scope);
    }
    if (status < 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (refuse(self, event, ex) < 0) PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(ex);
    return status;
}

/* Handles an event of a stream, unless the app has sent its last message. */
static int on_stream(core *self, const struct saltare_event *event, int (*take)(exchange *ex, const struct saltare_event *event))
{
    exchange *ex = py_exchange_find(&self->loop, event->stream);
    if (ex == NULL) return 0;
    Py_INCREF(ex);
    int status = take(ex, event);
    Py_DECREF(ex);
    return status;
}

/* The stream has ended; with EVENT_CANCEL the app must not go on. */
static int on_disconnect(core *self, const struct saltare_event *event)
{
    const bool cancels = event->flags & EVENT_CANCEL && self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->loop.state->starter_type);
    exchange *ex = cancels ? py_exchange_find(&self->loop, event->stream) : NULL;
    if (ex == NULL) return on_stream(self, event, py_exchange_event);
    PyObject *st = Py_NewRef(self->dispatch);
    Py_INCREF(ex);
    int status = on_stream(self, event, py_exchange_event);
    if (status == 0) status = py_starter_cancel((starter *)st, ex);
    Py_DECREF(ex);
    Py_DECREF(st);
    return status;
}

static int on_retire(core *self, const struct saltare_event *event)
{
    PyObject *why = PyUnicode_DecodeUTF8(event->data, (Py_ssize_t)event->len, "replace");
    PyObject *result = why ? py_call_hook(self->on_retire, "on_retire", &why, 1) : NULL;
    Py_XDECREF(why);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int on_log(core *self, const struct saltare_event *event)
{
    PyObject *level = PyLong_FromUnsignedLong(event->flags);
    PyObject *line = PyUnicode_DecodeUTF8(event->data, (Py_ssize_t)event->len, "replace"); /* may be cut within a character */
    PyObject *args[] = {level, line};
    PyObject *result = level && line ? py_call_hook(self->log, "log", args, 2) : NULL;
    Py_XDECREF(level);
    Py_XDECREF(line);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int on_event(core *self, const struct saltare_event *event)
{
    switch (event->kind) {
    case EVENT_REQUEST: return on_request(self, event);
    case EVENT_BODY:
    case EVENT_DRAINED:
    case EVENT_HALF_CLOSE: return on_stream(self, event, py_exchange_event);
    case EVENT_DISCONNECT: return on_disconnect(self, event);
    case EVENT_WS_DATA:
    case EVENT_WS_EXPECT:
    case EVENT_WS_CLOSE: return on_stream(self, event, py_websocket_event);
    case EVENT_RELEASE: py_release_borrowed(&self->loop, event->stream); return 0;
    case EVENT_LOG: return on_log(self, event);
    case EVENT_RETIRE: return on_retire(self, event);
    }
    PyErr_Format(PyExc_SystemError, "saltare: unknown event %u", event->kind);
    return -1;
}

/* The first KeyboardInterrupt or SystemExit of a turn. */
struct interruption {
    PyObject *type, *value, *traceback;
};

/* Keeps a KeyboardInterrupt or SystemExit; reports any other exception as unraisable, since it belongs to no request. */
static void keep(core *self, struct interruption *kept)
{
    if (kept->type == NULL && (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit))) {
        PyErr_Fetch(&kept->type, &kept->value, &kept->traceback);
    } else {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* Raises the kept exception again. */
static int interrupt(struct interruption *kept)
{
    if (kept->type == NULL) return 0;
    PyErr_Restore(kept->type, kept->value, kept->traceback);
    return -1;
}

static void take_events(core *self, struct interruption *kept)
{
    while (self->next_event < self->n_events) {
        const struct saltare_event *event = &self->events[self->next_event++];
        if (event->kind != EVENT_FD && on_event(self, event) < 0) keep(self, kept);
    }
}

int py_core_take_events(core *self)
{
    struct interruption kept = {0};
    take_events(self, &kept);
    self->n_events = self->next_event = 0;
    return interrupt(&kept);
}

/* Descriptors come last: in the same turn an app may close one and open another with the same number. */
int py_core_on_events(core *self, PyObject **ready)
{
    struct interruption kept = {0};
    take_events(self, &kept);
    for (uint32_t i = 0; i < self->n_events; i++) {
        if (self->events[i].kind == EVENT_FD && py_core_on_descriptor(self, &self->events[i], ready) < 0) keep(self, &kept);
    }
    self->n_events = self->next_event = 0;
    return interrupt(&kept);
}
