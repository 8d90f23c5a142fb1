/* py_fork.h: the one thing that is truly per process: whether it was forked, or has forked. */
#ifndef SALTARE_PY_FORK_H
#define SALTARE_PY_FORK_H

#include "py_state.h"

/* Nonzero in a child forked from a process with servers: Go does not survive fork, so it is never called there. */
int py_forked(void);
/* Not 0 once this process itself has forked: a child may have copies of its descriptors. */
const uint32_t *py_has_forked(void);
/* Sets RuntimeError for such a child and returns -1; 0 otherwise. */
int py_refuse_forked(void);
/* Begins to notice forks. -1 with an exception. */
int py_watch_fork(void);

#endif
