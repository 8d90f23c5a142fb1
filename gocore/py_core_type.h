/* py_core_type.h: the inside of a Core, to its own files. */
#ifndef SALTARE_PY_CORE_TYPE_H
#define SALTARE_PY_CORE_TYPE_H

#include "py_loop.h"
#include "py_scope.h"

struct saltare_memory_api; /* memory_api.h */

typedef struct {
    loop loop; /* first, so that it is one to its exchanges */
    scopes scopes;
    int64_t handle; /* of bridge.h; 0: closed */
    int epoll_fd;
    bool polling, guest, more, empty;
    bool stepping; /* the app takes its first step on a request, so the loop may be run within poll() */
    int depth;     /* of polls within one another */
    const struct saltare_event *events; /* of the turn that is worked on; Go's */
    uint32_t n_events, next_event;
    PyObject *keys;      /* descriptor -> selector key */
    PyObject *dispatch;  /* a Starter, or any callable(exchange, scope) */
    PyObject *log;       /* log(level, line) */
    PyObject *on_retire; /* (why): this worker has reached a limit */
    PyObject *on_lull;   /* called when the app has been silent for a while */
    PyObject *on_empty;  /* called when a draining server has no connection left */
    const struct saltare_memory_api *memory; /* gives back the pages of code that nothing needs while the server is idle; or NULL */
    bool release_before_wait;                /* it is to be asked before the next wait */
    bool lull_goes_on;                       /* on_lull is to be called in the next turn */
} core;

/* Whether Go may be asked about it: it is open, and the process was not forked. -1 with an exception. */
int py_core_usable(core *self, const char *doing);

/* ---- a turn (py_core_turn.c) ---- */

/* poll(). */
PyObject *py_core_poll(core *self, PyObject *const *args, Py_ssize_t n);

/* ---- its events (py_core_events.c) ---- */

/* Takes every event of the turn that was not taken yet, whatever happens to one of them, but those of descriptors. -1 with the
 * first KeyboardInterrupt or SystemExit; other exceptions are reported. */
int py_core_take_events(core *self);
/* The same, and adds what descriptors report to *ready. */
int py_core_on_events(core *self, PyObject **ready);

/* ---- the application's descriptors (py_core_descriptors.c) ---- */

/* watch() and unwatch(). */
PyObject *py_core_watch(core *self, PyObject *args);
PyObject *py_core_unwatch(core *self, PyObject *fd);
/* Adds (key, mask) to *ready, as a selector's select() has it. -1 with an exception. */
int py_core_on_descriptor(core *self, const struct saltare_event *event, PyObject **ready);

/* ---- quiet periods (py_core_rest.c) ---- */

/* On the way to the wait are libc, the dynamic linker, the interpreter and the core itself, which goes on: each has some segments. */
#define MOST_CODE 16

/* Has pages of code dropped before the next wait. */
void py_core_rest(core *self);
/* What the flags of a turn say of a quiet period, and again() before it (`goes_on`). -1 with an exception. */
int py_core_lull(core *self, uint32_t flags, bool goes_on);
/* Drops them now, and names those that come back on the way to the wait: at most MOST_CODE. Returns how many. */
uint32_t py_core_release_before_wait(core *self, struct saltare_range *code);
/* The attribute `release`. */
PyObject *py_core_get_release(core *self, void *closure);
int py_core_set_release(core *self, PyObject *capsule, void *closure);

#endif
