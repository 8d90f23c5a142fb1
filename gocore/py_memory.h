/* py_memory.h: what the core takes of saltare._memory, once its version is known to be ours. */
#ifndef SALTARE_PY_MEMORY_H
#define SALTARE_PY_MEMORY_H

#include "py_state.h"

#include "../native/memory/memory_api.h"

/* What is in saltare._memory.API, for ever. NULL with ImportError when its version is another, TypeError when it is something else. */
const struct saltare_memory_api *py_memory_api(PyObject *capsule);
/* Checks the version, if that module is imported already. -1 with ImportError. */
int py_memory_check(void);

#endif
