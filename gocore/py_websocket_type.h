/* py_websocket_type.h: the inside of a Socket, to its own files. */
#ifndef SALTARE_PY_WEBSOCKET_TYPE_H
#define SALTARE_PY_WEBSOCKET_TYPE_H

#include "py_exchange_type.h"
#include "py_websocket.h"

/* A message that came and was not received. */
typedef struct {
    PyObject *object; /* bytes or str */
    Py_ssize_t cost;  /* what it counts in COMMAND_CONSUMED */
} mail;

/* Those messages, the oldest first. An idle one holds no memory. */
typedef struct {
    mail one, *more; /* the only one; or, when there were several, all of them */
    uint32_t first, n, cap;
} mailbox;

/* A request for a websocket, and the websocket itself. */
typedef struct {
    exchange ex; /* first, so that it is an exchange wherever no difference is made */
    mailbox box;
    PyObject *offered;   /* list of the subprotocols that the peer speaks, until one is agreed on */
    PyObject *reason;    /* of its end, or NULL */
    gathered partial;    /* a message under way */
    Py_ssize_t taken;    /* what the app has received and Go does not know yet */
    uint16_t code;       /* of its end */
    char connected;      /* the app has received websocket.connect */
    char accepted;
} websocket;

/* RFC 6455 7.4.1: the close code where none was given, and that of an end without a Close frame. */
enum { WS_NORMAL = 1000, WS_VANISHED = 1006 };

/* Closes it as the app asks. -1 with an exception. */
int py_websocket_close(websocket *ws, uint16_t code, PyObject *reason);

#endif
