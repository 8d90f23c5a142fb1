/* py_outbox.h: commands of the app, until the next turn takes them. */
#ifndef SALTARE_PY_OUTBOX_H
#define SALTARE_PY_OUTBOX_H

#include "py_state.h"

#include "bridge.h"

typedef struct {
    uint8_t *data;
    size_t len, cap;
} outbox;

/* Adds a command, and room for the command->len bytes of its payload, to which it returns a pointer. NULL with MemoryError. */
uint8_t *py_outbox_add(outbox *box, const struct saltare_command *command);
/* The command at *at, which goes on to the next one; NULL at the end. Its payload is behind it. */
struct saltare_command *py_outbox_next(const outbox *box, size_t *at);
void py_outbox_free(outbox *box);

#endif
