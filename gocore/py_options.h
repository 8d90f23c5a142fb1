/* py_options.h: the options of a core. */
#ifndef SALTARE_PY_OPTIONS_H
#define SALTARE_PY_OPTIONS_H

#include "py_state.h"
#include "bridge.h"

/* Copies the dict `given` into the fields of the config. Unknown names are refused. -1 with an exception. */
int py_options_read(PyObject *given, struct saltare_config *config);

#endif
