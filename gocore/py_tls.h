/* py_tls.h: the extension "tls" of scopes (ASGI TLS extension 0.2). */
#ifndef SALTARE_PY_TLS_H
#define SALTARE_PY_TLS_H

#include "py_state.h"

#include "bridge_inbox.h"

/* The last extension made: most connections have the same certificates. */
typedef struct {
    PyObject *extension; /* dict, of which every scope gets a copy; NULL: none */
    uint8_t key[SALTARE_TLS_KEY];
    uint32_t version, suite;
} tls_extension;

/* Adds the extension for a request of a TLS connection to a scope's extensions. -1 with an exception. */
int py_tls_put(tls_extension *last, PyObject *extensions, const struct saltare_tls *tls);
void py_tls_clear(tls_extension *last);

#endif
