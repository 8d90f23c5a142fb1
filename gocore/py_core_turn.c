/* poll(): one turn of the loop. */
#include "py_core_type.h"

#include <math.h>

#include "py_error.h"
#include "py_hook.h"
#include "py_starter.h"

/* Units: bytes. A larger outbox, left by a burst, is freed. */
#define OUTBOX_KEEP (256 * 1024)

static int timeout_ns(PyObject *timeout, int64_t *ns)
{
    if (timeout == NULL || timeout == Py_None) {
        *ns = -1;
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) return -1;
    *ns = seconds <= 0 ? 0 : seconds >= 1e9 ? -1 : (int64_t)ceil(seconds * 1e9);
    return 0;
}

static int call_on_empty(core *self)
{
    if (self->empty || self->on_empty == NULL) return 0;
    self->empty = true;
    return py_call_if_set(self->on_empty, "on_empty");
}

/* Acts on the flags of this turn, and on those of turns whose events raised an exception. */
static int act_on_flags(core *self, bool goes_on)
{
    const uint32_t flags = self->flags;
    self->flags &= ~(uint32_t)TURN_EMPTY;
    if (flags & TURN_EMPTY && call_on_empty(self) < 0) {
        self->quiet_goes_on |= goes_on;
        return -1;
    }
    self->flags = 0;
    return py_core_quiet(self, flags, goes_on);
}

static PyObject *take_turn(core *self, struct saltare_turn *turn)
{
    struct saltare_range code[MOST_CODE];
    outbox *box = &self->loop.boxes[self->loop.filling];
    turn->outbox = box->data;
    turn->outbox_len = box->len;
    turn->tasks = self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->loop.state->starter_type) ? py_starter_tasks(self->dispatch) : 0;
    self->loop.filling = !self->loop.filling;
    self->loop.woken = false;
    const bool goes_on = self->quiet_goes_on;
    self->quiet_goes_on = false;
    self->more = false;
    if (goes_on || self->flags != 0) turn->timeout_ns = 0;
    if (self->release_before_wait && box->len == 0 && turn->timeout_ns != 0) {
        turn->code = code; /* looked up with the GIL: a child forked meanwhile would keep the dynamic linker's lock */
        turn->n_code = py_core_release_before_wait(self, code);
    }
    int32_t status;
    Py_BEGIN_ALLOW_THREADS
    status = saltare_turn(self->handle, turn);
    Py_END_ALLOW_THREADS
    box->len = 0;
    if (box->cap > OUTBOX_KEEP) py_outbox_free(box);
    if (self->loop.boxes[self->loop.filling].len == 0) self->loop.filling = !self->loop.filling; /* usually one box is enough */
    if (status < 0) {
        self->quiet_goes_on |= goes_on;
        return py_raise_status(status, "poll");
    }
    PyObject *ready = NULL;
    self->more = (turn->flags & TURN_MORE) != 0;
    self->flags |= turn->flags & ~(uint32_t)(TURN_MORE | TURN_INTERRUPTED); /* these two are of this turn only */
    self->events = turn->events;
    self->n_events = turn->n_events;
    self->next_event = 0;
    if (py_core_on_events(self, &ready) < 0) {
        self->quiet_goes_on |= goes_on;
    } else if (act_on_flags(self, goes_on) == 0) {
        return ready ? ready : Py_NewRef(self->loop.state->empty_tuple);
    }
    self->more |= self->quiet_goes_on || self->flags != 0;
    Py_XDECREF(ready);
    return NULL;
}

/* Whether poll() may be called within poll(): the app runs the loop in its first step on a request, as nest_asyncio allows. */
static bool is_nested(core *self) { return self->stepping && self->loop.thread == PyThread_get_thread_ident(); }

PyObject *py_core_poll(core *self, PyObject *const *args, Py_ssize_t n)
{
    struct saltare_turn turn = {0};
    if (n > 1) {
        PyErr_Format(PyExc_TypeError, "poll() takes one timeout, not %zd arguments", n);
        return NULL;
    }
    if (timeout_ns(n ? args[0] : NULL, &turn.timeout_ns) < 0 || py_core_usable(self, "poll") < 0) return NULL;
    const bool nested = self->polling;
    if (nested && !is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "poll() within poll(), or in a second thread");
        return NULL;
    }
    self->polling = true;
    self->stepping = false;
    self->depth++;
    self->loop.thread = PyThread_get_thread_ident();
    const bool unfinished = self->n_events > 0;
    if (unfinished) turn.timeout_ns = 0; /* pending events are handled first, since the next turn invalidates them; descriptors are reported again */
    PyObject *ready = unfinished && py_core_take_events(self) < 0 ? NULL : take_turn(self, &turn);
    self->depth--;
    self->polling = self->stepping = nested;
    return ready;
}
