/* py_exchange.h: type Exchange, one request in the app's hands, to those that start it and bring it events. */
#ifndef SALTARE_PY_EXCHANGE_H
#define SALTARE_PY_EXCHANGE_H

#include "py_state.h"

#include "py_loop.h"

typedef struct exchange exchange;

/* New reference, not in the core's table yet; NULL with an exception. */
exchange *py_exchange_new(loop *self, const struct saltare_event *event);
/* Takes an event of the stream but those of websockets. -1 with an exception. */
int py_exchange_event(exchange *ex, const struct saltare_event *event);
/* The peer has gone. -1 with an exception. */
int py_exchange_gone(exchange *ex);
/* The app is over without a complete answer. -1 with an exception. */
int py_exchange_fail(exchange *ex);
/* Whether nothing is to come from the app any more: the answer is complete, or the peer has gone. */
bool py_exchange_is_over(const exchange *ex);
/* New references to the app's receive and send. */
PyObject *py_exchange_receive_method(exchange *ex);
PyObject *py_exchange_send_method(exchange *ex);

/* ---- the table of a core's exchanges (py_exchange_table.c) ---- */

/* The exchange of a stream that is still open, borrowed; NULL without exception. */
exchange *py_exchange_find(loop *self, uint64_t stream);
/* -1 with an exception. */
int py_exchange_enter(loop *self, exchange *ex);
/* Forgets the stream of an exchange that is over. */
void py_exchange_forget(exchange *ex);
/* Ends every exchange as if its peer had gone. */
void py_exchange_end_all(loop *self);
/* Has the table end behind the last exchange. */
void py_exchange_shrink_table(loop *self);

extern PyType_Spec py_exchange_spec;

#endif
