/* py_websocket_type.h: internals of a WebSocket, for its own files. */
#ifndef SALTARE_PY_WEBSOCKET_TYPE_H
#define SALTARE_PY_WEBSOCKET_TYPE_H

#include "py_exchange_type.h"
#include "py_websocket.h"

/* A message that the app has not received yet. */
typedef struct {
    PyObject *object; /* bytes or str */
    Py_ssize_t cost;  /* for COMMAND_CONSUMED */
} mail;

/* Waiting messages, the oldest first. An idle mailbox holds no memory. */
typedef struct {
    mail one, *more; /* one: the only message; more: all of them, once there were several */
    uint32_t first, n, cap;
} mailbox;

/* A request for a websocket, and the websocket itself. */
typedef struct {
    exchange ex; /* first, so that a websocket can be used as an exchange */
    mailbox box;
    PyObject *offered;   /* list of the subprotocols that the peer offers, until the app accepts */
    PyObject *reason;    /* of the close, or NULL */
    gathered partial;    /* an incomplete message */
    Py_ssize_t taken;    /* cost of received messages not yet reported to Go */
    uint16_t code;       /* of the close */
    char connected;      /* the app has received websocket.connect */
    char accepted;
} websocket;

/* RFC 6455 7.4.1: the default close code, and the code when no Close frame came. */
enum { WS_NORMAL = 1000, WS_VANISHED = 1006 };

/* Closes the websocket for the app. -1 with an exception. */
int py_websocket_close(websocket *ws, uint16_t code, PyObject *reason);

#endif
