/* py_loop.h: what an exchange sees of its core: the outbox, the hooks of the loop that drives it, the table it is in. */
#ifndef SALTARE_PY_LOOP_H
#define SALTARE_PY_LOOP_H

#include "py_state.h"

#include "py_outbox.h"

struct exchange; /* py_exchange.h */

/* A Core begins with it, so that it is one wherever nothing else of the core is needed. */
typedef struct {
    PyObject_HEAD
    module_state *state;
    unsigned long thread;    /* that polls */
    outbox boxes[2];         /* one is filled while Go reads the other */
    int filling;
    bool woken;
    PyObject *wake;          /* of a guest: called when the outbox is no longer empty; else NULL */
    PyObject *create_future; /* of the event loop */
    PyObject *elsewhere;     /* elsewhere(send, message): the awaitable of a send() in another thread */
    Py_ssize_t borrowed;     /* bodies lent to Go */
    struct exchange **exchanges; /* by slot of the stream; owned references (py_exchange_table.c) */
    uint32_t n_exchanges;
} loop;

/* Room for a command with len bytes of payload at the end of the outbox, header filled in. NULL with MemoryError. No
 * Python code may run before the payload is there, since that could take a turn. */
uint8_t *py_command(loop *self, int kind, int flags, uint32_t arg, uint64_t stream, size_t len);
/* A command, COMMAND_BODY_REF or COMMAND_WS_SEND_REF, that lends Go command->len bytes of an object, which is held until they are
 * taken back. -1 with an exception. */
int py_lend(loop *self, const struct saltare_command *command, PyObject *owner, const void *bytes);
/* Takes back what was lent under a token of struct saltare_body_ref. May run Python code. */
void py_take_back(loop *self, uint64_t token);

/* Wakes the event loop of a guest, once a turn, when the outbox is not empty; called after the command is complete. -1 with an
 * exception. */
int py_loop_wake(loop *self);
/* The same whether or not the outbox is empty. */
int py_loop_call_wake(loop *self);

#endif
