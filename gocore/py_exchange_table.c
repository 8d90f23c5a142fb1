/* The table of a core's exchanges, indexed by the slot of their streams. */
#include "py_exchange_type.h"

#include <string.h>

static uint32_t slot_of(uint64_t stream) { return (uint32_t)stream; }

exchange *py_exchange_find(loop *self, uint64_t stream)
{
    uint32_t slot = slot_of(stream);
    exchange *ex = slot < self->n_exchanges ? self->exchanges[slot] : NULL;
    return ex != NULL && ex->stream == stream ? ex : NULL;
}

void py_exchange_forget(exchange *ex)
{
    if (py_exchange_find(ex->loop, ex->stream) != ex) return;
    ex->loop->exchanges[slot_of(ex->stream)] = NULL;
    Py_DECREF(ex);
}

static int grow(loop *self, uint32_t slot)
{
    uint32_t n = self->n_exchanges ? self->n_exchanges : 16;
    while (n <= slot) n *= 2;
    exchange **table = PyMem_Realloc(self->exchanges, n * sizeof *table);
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(table + self->n_exchanges, 0, (n - self->n_exchanges) * sizeof *table);
    self->exchanges = table;
    self->n_exchanges = n;
    return 0;
}

int py_exchange_enter(loop *self, exchange *ex)
{
    uint32_t slot = slot_of(ex->stream);
    if (slot >= self->n_exchanges && grow(self, slot) < 0) return -1;
    exchange *old = self->exchanges[slot];
    self->exchanges[slot] = (exchange *)Py_NewRef(ex);
    Py_XDECREF(old);
    return 0;
}

void py_exchange_shrink_table(loop *self)
{
    uint32_t n = self->n_exchanges;
    while (n > 0 && self->exchanges[n - 1] == NULL) n--;
    if (n == 0) {
        PyMem_Free(self->exchanges);
        self->exchanges = NULL;
        self->n_exchanges = 0;
    } else if (n < self->n_exchanges / 2) {
        exchange **table = PyMem_Realloc(self->exchanges, n * sizeof *table);
        if (table == NULL) return;
        self->exchanges = table;
        self->n_exchanges = n;
    }
}

void py_exchange_end_all(loop *self)
{
    for (uint32_t slot = 0; slot < self->n_exchanges; slot++) {
        exchange *ex = self->exchanges[slot];
        if (ex == NULL) continue;
        Py_INCREF(ex);
        if (py_exchange_gone(ex) < 0) PyErr_WriteUnraisable((PyObject *)self);
        Py_DECREF(ex);
    }
}
