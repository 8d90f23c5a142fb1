/* py_file.h: files that the app sends. */
#ifndef SALTARE_PY_FILE_H
#define SALTARE_PY_FILE_H

#include "py_state.h"

#include "bridge.h"

/* Fills part with the whole of the regular file at the path that a message names. -1 with an exception. */
int py_file_open(module_state *st, PyObject *message, const char *kind, struct saltare_file *part);
/* Fills part with what a message of zerocopysend names. goes_on: it begins where the file stands, since the message has no
 * offset. -1 with an exception. */
int py_file_borrow(module_state *st, PyObject *message, const char *kind, struct saltare_file *part, bool *goes_on);
/* Lets the file stand behind the part, as os.sendfile does. -1 with an exception. */
int py_file_seek(const struct saltare_file *part);
void py_file_close(struct saltare_file *part);

#endif
