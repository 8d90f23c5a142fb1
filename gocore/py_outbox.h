/* py_outbox.h: commands of the app for the next turn. */
#ifndef SALTARE_PY_OUTBOX_H
#define SALTARE_PY_OUTBOX_H

#include "py_state.h"

#include "bridge.h"

typedef struct {
    uint8_t *data;
    size_t len, cap;
    size_t last; /* offset of the last command, unless len is 0 */
} outbox;

/* Adds a command. Returns a pointer to room for the command->len bytes of its payload. NULL with MemoryError. */
uint8_t *py_outbox_add(outbox *box, const struct saltare_command *command);
/* The command at *at, followed by its payload; moves *at to the next command. NULL at the end. */
struct saltare_command *py_outbox_next(const outbox *box, size_t *at);
void py_outbox_free(outbox *box);

#endif
