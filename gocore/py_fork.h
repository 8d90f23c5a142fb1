/* py_fork.h: whether this process was forked, or has forked: the only state that is per process. */
#ifndef SALTARE_PY_FORK_H
#define SALTARE_PY_FORK_H

#include "py_state.h"

/* Nonzero in a child forked from a process with servers. Go does not survive fork, so the child never calls it. */
int py_forked(void);
/* Nonzero once this process has forked: a child may hold copies of its descriptors. */
const uint32_t *py_has_forked(void);
/* Returns -1 with RuntimeError in such a child; 0 otherwise. */
int py_refuse_forked(void);
/* Starts to track forks. -1 with an exception. */
int py_watch_fork(void);

#endif
