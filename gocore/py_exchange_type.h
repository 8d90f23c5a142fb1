/* py_exchange_type.h: internals of an Exchange, for its own files, for send() and for websockets. */
#ifndef SALTARE_PY_EXCHANGE_TYPE_H
#define SALTARE_PY_EXCHANGE_TYPE_H

#include "py_exchange.h"
#include "py_gathered.h"

struct exchange {
    PyObject_HEAD
    loop *loop;
    uint64_t stream;
    gathered body;       /* of the request: what has arrived and the app has not received */
    Py_ssize_t cost;     /* of that body, for COMMAND_CONSUMED */
    PyObject *receivers; /* list of futures that receive() waits for, or NULL; their results have no meaning */
    PyObject *senders;   /* the same for send() */
    Py_ssize_t window;   /* what may be sent before send() waits: bytes, plus the cost of pieces */
    Py_ssize_t most;     /* window after EVENT_DRAINED */
    int64_t declared;    /* content-length of the response, -1: none */
    int64_t sent;        /* bytes of the response body */
    short status;        /* of the response that has started */
    char body_open;      /* Go will deliver more of the request body */
    char expecting;      /* the peer waits for 100 Continue */
    char silent;         /* the response body is not sent: HEAD */
    char started;
    char trailers;       /* the response ends with http.response.trailers */
    char body_over;      /* the body is complete; only trailers may follow */
    char complete, gone;
    unsigned char ignored; /* messages that send() ignored because the peer has gone */
    char half_closed;    /* receive() reports a disconnect, but the peer may still read the response */
};

/* Initialises a new Exchange or WebSocket that the collector does not track yet. */
void py_exchange_init(exchange *ex, loop *self, const struct saltare_event *event);
/* Slots of both types. */
extern PyType_Slot py_exchange_slots[];
/* The app has sent its last message. -1 with an exception. */
int py_exchange_complete(exchange *ex);
/* Ends an exchange that lost data for lack of memory: both sides see a disconnect. The exception stays set. */
void py_exchange_give_up(exchange *ex);
/* Ends the wait of every receive(). -1 with an exception. */
int py_exchange_wake_receivers(exchange *ex);
/* Adds a new future of the event loop to *list, a list of the exchange. */
PySendResult py_exchange_wait(exchange *ex, PyObject **list, PyObject **result);

static inline module_state *py_state_in(const exchange *ex) { return ex->loop->state; }

static inline bool py_is_websocket(const exchange *ex) { return Py_IS_TYPE(ex, py_state_in(ex)->websocket_type); }

/* ---- functions that an exchange calls in files of a higher layer, which include this header ---- */

/* send(message): py_send.c. */
PyObject *py_exchange_send(exchange *ex, PyObject *message);
/* For a websocket: the outcome of receive(), dropping its own fields (py_websocket.c), a message of the app (py_websocket_send.c). */
PySendResult py_websocket_received(exchange *ex, PyObject **result);
void py_websocket_drop(exchange *ex);
PyObject *py_websocket_send_kind(exchange *ex, PyObject *message, PyObject *type);

#endif
