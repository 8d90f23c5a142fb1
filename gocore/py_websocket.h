/* py_websocket.h: type Socket, a request for a websocket and the websocket itself, to those that bring it events. */
#ifndef SALTARE_PY_WEBSOCKET_H
#define SALTARE_PY_WEBSOCKET_H

#include "py_exchange.h"

/* New reference, not in the core's table yet; NULL with an exception. */
exchange *py_websocket_new(loop *self, const struct saltare_event *event);
/* Takes an event of websockets; nothing happens when the exchange is none. -1 with an exception. */
int py_websocket_event(exchange *ex, const struct saltare_event *event);
/* The app has returned: closes a websocket that is accepted and open. 1: it was one; 0: it was not; -1 with an exception. */
int py_websocket_returned(exchange *ex);

extern PyType_Spec py_websocket_spec;

#endif
