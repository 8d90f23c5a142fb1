/* py_exchange.h: type Exchange, one request that the app handles: how it is created and receives events. */
#ifndef SALTARE_PY_EXCHANGE_H
#define SALTARE_PY_EXCHANGE_H

#include "py_state.h"

#include "py_loop.h"

typedef struct exchange exchange;

/* New reference, not yet in the core's table; NULL with an exception. */
exchange *py_exchange_new(loop *self, const struct saltare_event *event);
/* Handles an event of the stream, except those of websockets. -1 with an exception. */
int py_exchange_event(exchange *ex, const struct saltare_event *event);
/* The peer has disconnected. -1 with an exception. */
int py_exchange_gone(exchange *ex);
/* The app has ended without a complete response. -1 with an exception. */
int py_exchange_fail(exchange *ex);
/* Whether the exchange accepts no more messages: the response is complete, or the peer has disconnected. */
bool py_exchange_is_over(const exchange *ex);
/* New references to the app's receive and send. */
PyObject *py_exchange_receive_method(exchange *ex);
PyObject *py_exchange_send_method(exchange *ex);

/* ---- the table of a core's exchanges (py_exchange_table.c) ---- */

/* The exchange of an open stream, borrowed; NULL, without an exception, if there is none. */
exchange *py_exchange_find(loop *self, uint64_t stream);
/* Adds an exchange. -1 with an exception. */
int py_exchange_enter(loop *self, exchange *ex);
/* Removes an exchange that has ended. */
void py_exchange_forget(exchange *ex);
/* Ends every exchange as if its peer had disconnected. */
void py_exchange_end_all(loop *self);
/* Shrinks the table to end after the last exchange. */
void py_exchange_shrink_table(loop *self);

extern PyType_Spec py_exchange_spec;

#endif
