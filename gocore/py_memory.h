/* py_memory.h: the core's access to saltare._memory, after a check of its version. */
#ifndef SALTARE_PY_MEMORY_H
#define SALTARE_PY_MEMORY_H

#include "py_state.h"

#include "../native/memory/memory_api.h"

/* The table in saltare._memory.API, valid for ever. NULL with ImportError for another version, TypeError for another object. */
const struct saltare_memory_api *py_memory_api(PyObject *capsule);
/* Checks the version, if saltare._memory is already imported. -1 with ImportError. */
int py_memory_check(void);

#endif
