/* Whether this process was forked, or has forked. */
#include "py_fork.h"

#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t forked;
static uint32_t has_forked;

static void before_fork(void) { __atomic_store_n(&has_forked, 1, __ATOMIC_RELAXED); }

static void after_fork_in_child(void) { forked = 1; }

const uint32_t *py_has_forked(void) { return &has_forked; }

int py_forked(void) { return forked; }

int py_refuse_forked(void)
{
    if (!forked) return 0;
    PyErr_SetString(PyExc_RuntimeError, "saltare cannot serve in a forked child: start the server after the fork");
    return -1;
}

int py_watch_fork(void)
{
    static char watching; /* protected by the GIL */
    if (watching) return 0;
    if (pthread_atfork(before_fork, NULL, after_fork_in_child) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    watching = 1;
    return 0;
}
