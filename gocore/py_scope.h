/* py_scope.h: ASGI scopes of requests. */
#ifndef SALTARE_PY_SCOPE_H
#define SALTARE_PY_SCOPE_H

#include "py_state.h"

#include "bridge_inbox.h"
#include "py_tls.h"

/* What the scopes of a core are built from. */
typedef struct {
    PyObject *template;                    /* dict; every scope is a shallow copy */
    PyObject *extensions;                  /* dict; every scope has a copy */
    PyObject *coded_extensions;            /* the same for requests with EVENT_CODINGS */
    PyObject *ws_template, *ws_extensions; /* the same for scopes of websockets */
    PyObject *root_path;
    PyObject *servers;                     /* scope["server"] by listener */
    PyObject *lifespan;                    /* dict copied into scope["state"] */
    PyObject *host_text;                   /* last client address as text */
    struct saltare_address host;
    tls_extension tls;
} scopes;

/* What Python says about scopes. All are dicts, the last two may be NULL. */
typedef struct {
    PyObject *template;  /* every item of a scope, with None for those of the request */
    PyObject *websocket; /* the items of a websocket's scope that differ */
    PyObject *coded;     /* the extensions of requests with EVENT_CODINGS, if they differ */
} scope_templates;

/* Prepares scopes; the root path is a str. -1 with an exception. */
int py_scopes_open(scopes *self, module_state *st, const scope_templates *given, PyObject *root_path);
int py_scopes_traverse(scopes *self, visitproc visit, void *arg);
/* Drops fields that may be part of a cycle. */
void py_scopes_clear(scopes *self);
/* Drops the other fields. */
void py_scopes_free(scopes *self);

/* New reference to the scope of a request, or NULL with an exception. */
PyObject *py_scope(scopes *self, module_state *st, const struct saltare_event *event);
/* New reference to a list of the subprotocols that the peer offers, or NULL with an exception. */
PyObject *py_subprotocols(const struct saltare_request *request);

#endif
