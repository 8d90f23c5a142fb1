/* py_core_type.h: internals of a Core, for its own files. */
#ifndef SALTARE_PY_CORE_TYPE_H
#define SALTARE_PY_CORE_TYPE_H

#include "py_loop.h"
#include "py_scope.h"

struct saltare_memory_api; /* memory_api.h */

typedef struct {
    loop loop; /* first, so that a core can be used as the loop of its exchanges */
    scopes scopes;
    int64_t handle; /* of bridge.h; 0: closed */
    int epoll_fd;
    bool polling, guest, more, empty;
    bool stepping; /* the app takes its first step on a request, so the loop may run within poll() */
    int depth;     /* of nested polls */
    const struct saltare_event *events; /* of the current turn; owned by Go */
    uint32_t n_events, next_event;
    uint32_t flags;      /* TURN_* that are not acted on yet */
    PyObject *keys;      /* descriptor -> selector key */
    PyObject *dispatch;  /* a Starter, or any callable(exchange, scope) */
    PyObject *log;       /* log(level, line) */
    PyObject *on_retire; /* (why): this worker has reached a limit */
    PyObject *on_quiet;   /* called in quiet periods: when the app has sent nothing for a while */
    PyObject *on_empty;  /* called when a draining server has no connection left */
    const struct saltare_memory_api *memory; /* releases pages of code that an idle server does not need; or NULL */
    bool release_before_wait;                /* call memory->release_before_wait before the next wait */
    bool quiet_goes_on;                       /* call on_quiet again in the next turn */
} core;

/* Checks that Go may be called: the core is open, and the process was not forked. -1 with an exception. */
int py_core_usable(core *self, const char *doing);

/* ---- a turn (py_core_turn.c) ---- */

/* poll(). */
PyObject *py_core_poll(core *self, PyObject *const *args, Py_ssize_t n);

/* ---- its events (py_core_events.c) ---- */

/* Handles every remaining event of the turn except those of descriptors, even if some fail. -1 with the first
 * KeyboardInterrupt or SystemExit; other exceptions are reported. */
int py_core_take_events(core *self);
/* The same, and adds the events of descriptors to *ready. */
int py_core_on_events(core *self, PyObject **ready);

/* ---- the application's descriptors (py_core_descriptors.c) ---- */

/* watch() and unwatch(). */
PyObject *py_core_watch(core *self, PyObject *args);
PyObject *py_core_unwatch(core *self, PyObject *fd);
/* Adds (key, mask) to *ready, in the form that a selector's select() returns. -1 with an exception. */
int py_core_on_descriptor(core *self, const struct saltare_event *event, PyObject **ready);

/* ---- quiet periods (py_core_quiet.c) ---- */

/* Segments of the objects that run before the wait: libc, the dynamic linker, the interpreter and the core. */
#define MOST_CODE 16

/* Requests that pages of code are dropped before the next wait. */
void py_core_release_soon(core *self);
/* Acts on the quiet period that the flags of a turn report. goes_on: again() was called before the turn. -1 with an exception. */
int py_core_quiet(core *self, uint32_t flags, bool goes_on);
/* Drops pages of code now, and lists the ranges that are needed again before the wait: at most MOST_CODE. Returns how many. */
uint32_t py_core_release_before_wait(core *self, struct saltare_range *code);
/* The attribute `release`. */
PyObject *py_core_get_release(core *self, void *closure);
int py_core_set_release(core *self, PyObject *capsule, void *closure);

#endif
