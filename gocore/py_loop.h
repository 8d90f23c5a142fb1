/* py_loop.h: the part of a core that its exchanges use: the outbox, the hooks of the event loop, the table of exchanges. */
#ifndef SALTARE_PY_LOOP_H
#define SALTARE_PY_LOOP_H

#include "py_state.h"

#include "py_outbox.h"

struct exchange; /* py_exchange.h */

/* A Core begins with this struct, so a pointer to a Core is also a pointer to a loop. */
typedef struct {
    PyObject_HEAD
    module_state *state;
    unsigned long thread;    /* the thread that polls */
    outbox boxes[2];         /* one is filled while Go reads the other */
    int filling;
    bool woken;
    unsigned char ignored_most; /* messages per request that send() ignores once the peer has gone; then it raises */
    PyObject *wake;          /* guest drivers only: called when the outbox is no longer empty; else NULL */
    PyObject *create_future; /* of the event loop */
    PyObject *elsewhere;     /* elsewhere(send, message): the awaitable for a send() in another thread */
    Py_ssize_t borrowed;     /* number of bodies lent to Go */
    struct exchange **exchanges; /* indexed by slot of the stream; owned references (py_exchange_table.c) */
    uint32_t n_exchanges;
} loop;

/* Adds a command to the outbox and returns room for its payload of len bytes. NULL with MemoryError. No Python code may
 * run before the payload is filled in, since that code could take a turn. */
uint8_t *py_command(loop *self, int kind, int flags, uint32_t arg, uint64_t stream, size_t len);
/* Adds a COMMAND_BODY_REF or COMMAND_WS_SEND_REF, which lends Go command->len bytes of an object. Holds the object until
 * py_release_borrowed. -1 with an exception. */
int py_lend(loop *self, const struct saltare_command *command, PyObject *owner, const void *bytes);
/* Takes back the object lent under a token of struct saltare_body_ref. May run Python code. */
void py_release_borrowed(loop *self, uint64_t token);

/* Wakes the event loop of a guest driver, once a turn, if the outbox is not empty. Call it after the command is complete. -1
 * with an exception. */
int py_loop_wake(loop *self);
/* The same whether or not the outbox is empty. */
int py_loop_call_wake(loop *self);

#endif
