/* The outbox: commands of the app for the next turn. */
#include "py_outbox.h"

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

uint8_t *py_outbox_add(outbox *box, const struct saltare_command *command)
{
    size_t at = box->len, end = at + sizeof *command + aligned(command->len);
    if (end > box->cap && grow(box, end) < 0) return NULL;
    *(struct saltare_command *)(box->data + at) = *command;
    box->len = end;
    box->last = at;
    return box->data + at + sizeof *command;
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
