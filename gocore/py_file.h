/* py_file.h: files that the app sends. */
#ifndef SALTARE_PY_FILE_H
#define SALTARE_PY_FILE_H

#include "py_state.h"

#include "bridge.h"

/* Fills part with the whole regular file at the message's path. -1 with an exception. */
int py_file_open(module_state *st, PyObject *message, const char *kind, struct saltare_file *part);
/* Fills part from a zerocopysend message. goes_on: the message has no offset, so the part begins at the file's position.
 * -1 with an exception. */
int py_file_borrow(module_state *st, PyObject *message, const char *kind, struct saltare_file *part, bool *goes_on);
/* Moves the file's position to the end of the part, as os.sendfile does. -1 with an exception. */
int py_file_seek(const struct saltare_file *part);
void py_file_close(struct saltare_file *part);

#endif
