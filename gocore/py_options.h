/* py_options.h: the options of a core, whose names and values C passes on. */
#ifndef SALTARE_PY_OPTIONS_H
#define SALTARE_PY_OPTIONS_H

#include "py_state.h"

#include "bridge.h"

/* Reads a dict of values by the names of options. Writes SALTARE_OPTIONS_MOST settings at most, and how many to *n. -1 with
 * TypeError for a name that is unknown or a value that is no int, OverflowError for one that is out of range. */
int py_options_read(PyObject *given, struct saltare_setting *settings, uint32_t *n);
/* New reference to a dict of the units by the names: "ms" for milliseconds, else "". NULL with an exception. */
PyObject *py_options_units(void);

#endif
