/* py_websocket.h: type WebSocket, a request for a websocket and the websocket itself: how it is created and receives events. */
#ifndef SALTARE_PY_WEBSOCKET_H
#define SALTARE_PY_WEBSOCKET_H

#include "py_exchange.h"

/* New reference, not yet in the core's table; NULL with an exception. */
exchange *py_websocket_new(loop *self, const struct saltare_event *event);
/* Handles a websocket event; ignores it if the exchange is not a websocket. -1 with an exception. */
int py_websocket_event(exchange *ex, const struct saltare_event *event);
/* The app has returned: closes an accepted, open websocket. 1: closed; 0: nothing to close; -1 with an exception. */
int py_websocket_returned(exchange *ex);

extern PyType_Spec py_websocket_spec;

#endif
