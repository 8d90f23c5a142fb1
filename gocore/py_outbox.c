/* The outbox: commands of the app, until the next turn takes them.  per request */
#include "py_state.h"

#include <string.h>

#define OUTBOX_FIRST 4096

static int grow(outbox *box, size_t need)
{
    size_t cap = box->cap ? box->cap : OUTBOX_FIRST;
    while (cap < need) cap *= 2;
    uint8_t *data = PyMem_RawRealloc(box->data, cap);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    box->data = data;
    box->cap = cap;
    return 0;
}

static size_t aligned(size_t n) { return (n + 7) & ~(size_t)7; }

uint8_t *py_command(core *self, int kind, int flags, uint32_t arg, uint64_t stream, size_t len)
{
    outbox *box = &self->boxes[self->filling];
    size_t at = box->len, end = at + sizeof(struct saltare_command) + aligned(len);
    if (end > box->cap && grow(box, end) < 0) return NULL;
    struct saltare_command *command = (struct saltare_command *)(box->data + at);
    *command = (struct saltare_command){.kind = (uint16_t)kind, .flags = (uint16_t)flags, .arg = arg, .stream = stream, .len = len};
    box->len = end;
    return box->data + at + sizeof(struct saltare_command);
}

struct saltare_command *py_outbox_next(const outbox *box, size_t *at)
{
    if (*at >= box->len) return NULL;
    struct saltare_command *command = (struct saltare_command *)(box->data + *at);
    *at += sizeof *command + aligned(command->len);
    return command;
}

void py_outbox_free(outbox *box)
{
    PyMem_RawFree(box->data);
    *box = (outbox){0};
}
