/* py_options.h: the options of a core. C only passes names and values on. */
#ifndef SALTARE_PY_OPTIONS_H
#define SALTARE_PY_OPTIONS_H

#include "py_state.h"

#include "bridge.h"

/* Reads a dict of option names and values, which must keep its values as long as the settings are used: they refer to the bytes
 * of texts. Writes at most SALTARE_OPTIONS_MOST settings, and their number to *n. -1 with TypeError for an unknown name or a value
 * that is neither an int nor, for a text, bytes; OverflowError for a value out of range. */
int py_options_read(PyObject *given, struct saltare_setting *settings, uint32_t *n);
/* New reference to a dict of option names and units: "ms" for milliseconds, "text" for bytes, else "". NULL with an exception. */
PyObject *py_options_units(void);

#endif
