/* py_exchange_type.h: the inside of an Exchange, to its own files, to send() and to the websocket it may become. */
#ifndef SALTARE_PY_EXCHANGE_TYPE_H
#define SALTARE_PY_EXCHANGE_TYPE_H

#include "py_exchange.h"
#include "py_gathered.h"

struct exchange {
    PyObject_HEAD
    loop *loop;
    uint64_t stream;
    gathered body;       /* of the request, as far as it came and was not received */
    Py_ssize_t cost;     /* what that counts in COMMAND_CONSUMED */
    PyObject *receivers; /* list of futures by which receive() waits, or NULL; their results say nothing */
    PyObject *senders;   /* the same for send() */
    Py_ssize_t window;   /* what may be sent before send() waits: bytes, and what pieces count besides */
    Py_ssize_t most;     /* what window is once little is unsent */
    int64_t declared;    /* content-length of the answer, -1: none */
    int64_t sent;        /* bytes of its body */
    short status;        /* of the answer that has started */
    char body_open;      /* more of the request body is to come from Go */
    char expecting;      /* the peer waits for 100 Continue */
    char silent;         /* the answer's body is not for the peer: HEAD */
    char started;
    char trailers;       /* the answer ends with http.response.trailers */
    char body_over;      /* and these are now awaited */
    char complete, gone;
    char half_closed;    /* to receive() the peer has gone, but it may still read the answer */
};

/* Fills in a new object, of Exchange or of Socket, that the collector does not know yet. */
void py_exchange_init(exchange *ex, loop *self, const struct saltare_event *event);
/* Of both types. */
extern PyType_Slot py_exchange_slots[];
/* The app has sent its last message. -1 with an exception. */
int py_exchange_complete(exchange *ex);
/* What came is lost for lack of memory: to both sides the other is gone. The exception stays. */
void py_exchange_give_up(exchange *ex);
/* Ends the wait of every receive(). -1 with an exception. */
int py_exchange_wake_receivers(exchange *ex);
/* Enters a new future of the event loop in *list, one of the exchange's. */
PySendResult py_exchange_wait(exchange *ex, PyObject **list, PyObject **result);

static inline module_state *py_state_in(const exchange *ex) { return ex->loop->state; }

static inline bool py_is_websocket(const exchange *ex) { return Py_IS_TYPE(ex, py_state_in(ex)->websocket_type); }

/* ---- what an exchange calls of those above it, which include this header ---- */

/* send(message): py_send.c. */
PyObject *py_exchange_send(exchange *ex, PyObject *message);
/* Of a websocket: the outcome of receive(), and what it holds besides (py_websocket.c); a message of the app (py_websocket_send.c). */
PySendResult py_websocket_received(exchange *ex, PyObject **result);
void py_websocket_drop(exchange *ex);
PyObject *py_websocket_send_kind(exchange *ex, PyObject *message, PyObject *type);

#endif
