/* py_core.h: type Core, a server as Python sees it. */
#ifndef SALTARE_PY_CORE_H
#define SALTARE_PY_CORE_H

#include "py_state.h"

extern PyType_Spec py_core_spec;

#endif
