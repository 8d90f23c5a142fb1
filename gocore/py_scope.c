/* ASGI scopes from requests (ASGI 3.0, HTTP 2.5). */
#include "py_scope.h"

#include <arpa/inet.h>
#include <string.h>

static PyObject *span_bytes(const struct saltare_request *r, struct saltare_span span)
{
    return PyBytes_FromStringAndSize((const char *)r->head + span.off, span.len);
}

static PyObject *method_text(module_state *st, const struct saltare_request *r)
{
    const char *m = (const char *)r->head + r->method.off;
    const uint32_t len = r->method.len;
#define IS(member, text) \
    if (len == sizeof text - 1 && memcmp(m, text, len) == 0) return Py_NewRef(st->member);
    EACH_METHOD(IS)
#undef IS
    return PyUnicode_DecodeLatin1(m, len, NULL);
}

static PyObject *span_text(const struct saltare_request *r, struct saltare_span span)
{
    return PyUnicode_DecodeLatin1((const char *)r->head + span.off, span.len, NULL);
}

/* The root path: of the configuration, unless a proxy says another one. */
static PyObject *root_path(scopes *self, const struct saltare_request *r)
{
    return r->prefix.len != 0 ? span_text(r, r->prefix) : Py_NewRef(self->root_path);
}

/* The path as text, below the root path: percent-decoded, with invalid UTF-8 replaced. */
static PyObject *path_text(scopes *self, const struct saltare_request *r)
{
    PyObject *path = PyUnicode_DecodeUTF8((const char *)r->path, r->path_len, "replace");
    if (path == NULL || (r->prefix.len == 0 && PyUnicode_GET_LENGTH(self->root_path) == 0)) return path;
    PyObject *root = root_path(self, r);
    PyObject *full = root ? PyUnicode_Concat(root, path) : NULL;
    Py_XDECREF(root);
    Py_DECREF(path);
    return full;
}

static PyObject *field_name(module_state *st, const struct saltare_request *r, const struct saltare_field *f)
{
    if (f->id != 0 && f->id < KNOWN_NAMES_MAX && st->known_names[f->id] != NULL) return Py_NewRef(st->known_names[f->id]);
    return span_bytes(r, f->name);
}

static PyObject *field_pair(module_state *st, const struct saltare_request *r, const struct saltare_field *f)
{
    PyObject *name = field_name(st, r, f);
    PyObject *value = span_bytes(r, f->value);
    PyObject *pair = name && value ? PyTuple_New(2) : NULL;
    if (pair == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(value);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, name);
    PyTuple_SET_ITEM(pair, 1, value);
    PyObject_GC_UnTrack(pair); /* two bytes objects form no cycle; the collector would untrack the tuple too */
    return pair;
}

static PyObject *headers_list(module_state *st, const struct saltare_request *r)
{
    PyObject *list = PyList_New(r->n_fields);
    if (list == NULL) return NULL;
    PyObject_GC_UnTrack(list); /* hidden until it is full */
    for (uint32_t i = 0; i < r->n_fields; i++) {
        PyObject *pair = field_pair(st, r, &r->fields[i]);
        if (pair == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, pair);
    }
    PyObject_GC_Track(list);
    return list;
}

static PyObject *host_text(const struct saltare_address *a)
{
    char text[INET6_ADDRSTRLEN];
    if (a->family == FAMILY_INET6 && memcmp(a->ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
        inet_ntop(AF_INET, a->ip + 12, text, sizeof text);
    } else {
        inet_ntop(a->family == FAMILY_INET ? AF_INET : AF_INET6, a->ip, text, sizeof text);
    }
    return PyUnicode_FromString(text);
}

/* Caches the text of the last address: behind a proxy it is always the same. */
static PyObject *client_host(scopes *self, const struct saltare_address *a)
{
    if (self->host_text == NULL || self->host.family != a->family || memcmp(self->host.ip, a->ip, sizeof a->ip) != 0) {
        PyObject *text = host_text(a);
        if (text == NULL) return NULL;
        Py_XSETREF(self->host_text, text);
        self->host = *a;
    }
    return Py_NewRef(self->host_text);
}

/* (host, port). Steals host. */
static PyObject *address_tuple(PyObject *host, uint16_t port)
{
    PyObject *number = host ? PyLong_FromLong(port) : NULL;
    PyObject *pair = number ? PyTuple_New(2) : NULL;
    if (pair == NULL) {
        Py_XDECREF(host);
        Py_XDECREF(number);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, host);
    PyTuple_SET_ITEM(pair, 1, number);
    return pair;
}

static PyObject *client(scopes *self, const struct saltare_request *r)
{
    if (r->client.family == FAMILY_UNIX) return Py_NewRef(Py_None);
    return address_tuple(client_host(self, &r->client), r->client.port);
}

/* The server that the client has connected to. */
static PyObject *own_server(scopes *self, const struct saltare_request *r)
{
    if (r->local.family != FAMILY_UNIX) return address_tuple(host_text(&r->local), r->local.port);
    if ((Py_ssize_t)r->listener < PyTuple_GET_SIZE(self->servers)) return Py_NewRef(PyTuple_GET_ITEM(self->servers, r->listener));
    return Py_NewRef(Py_None);
}

/* The server as clients name it: its host and port, or its port alone, may come from a proxy. */
static PyObject *server(scopes *self, const struct saltare_request *r)
{
    if (r->host.len != 0) return address_tuple(span_text(r, r->host), (uint16_t)r->port);
    PyObject *own = own_server(self, r);
    if (own == NULL || r->port == 0 || !PyTuple_Check(own) || PyTuple_GET_SIZE(own) != 2 || PyTuple_GET_ITEM(own, 1) == Py_None) return own;
    PyObject *host = Py_NewRef(PyTuple_GET_ITEM(own, 0));
    Py_DECREF(own);
    return address_tuple(host, (uint16_t)r->port);
}

/* Sets scope[key]. Steals value. -1 with an exception, also when value is NULL. */
static int put(PyObject *scope, PyObject *key, PyObject *value)
{
    if (value == NULL) return -1;
    int status = PyDict_SetItem(scope, key, value);
    Py_DECREF(value);
    return status;
}

PyObject *py_subprotocols(const struct saltare_request *r)
{
    PyObject *list = PyList_New(r->n_subprotocols);
    for (uint32_t i = 0; list != NULL && i < r->n_subprotocols; i++) {
        struct saltare_span span = r->subprotocols[i];
        PyObject *name = span_text(r, span);
        if (name == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, name);
        }
    }
    return list;
}

/* Takes the extensions, of which every scope gets a copy. */
static int take_extensions(scopes *self, module_state *st, PyObject *coded)
{
    PyObject *given = Py_XNewRef(PyDict_GetItemWithError(self->template, st->s_extensions)), *extensions = NULL;
    if (given == NULL) {
        extensions = PyErr_Occurred() ? NULL : PyDict_New();
    } else if (PyDict_Check(given)) {
        extensions = PyDict_Copy(given);
    } else {
        PyErr_Format(PyExc_TypeError, "Core: extensions must be a dict, not %.100s", Py_TYPE(given)->tp_name);
    }
    Py_XDECREF(given);
    Py_XSETREF(self->extensions, extensions);
    if (extensions == NULL) return -1;
    Py_XSETREF(self->coded_extensions, PyDict_Copy(coded ? coded : extensions));
    return self->coded_extensions ? 0 : -1;
}

/* Builds the template for scopes of websockets. */
static int make_ws_template(scopes *self, module_state *st, PyObject *differing)
{
    Py_XSETREF(self->ws_template, PyDict_Copy(self->template));
    Py_XSETREF(self->ws_extensions, Py_BuildValue("{s{}}", "websocket.http.response"));
    PyObject *type = PyUnicode_FromString("websocket");
    bool made = self->ws_template && self->ws_extensions && type && PyDict_SetItem(self->ws_template, st->s_type, type) == 0 &&
                PyDict_SetItem(self->ws_template, st->s_scheme, st->ws) == 0 &&
                (differing == NULL || PyDict_Update(self->ws_template, differing) == 0);
    Py_XDECREF(type);
    int has_method = made ? PyDict_Contains(self->ws_template, st->s_method) : -1;
    return has_method > 0 ? PyDict_DelItem(self->ws_template, st->s_method) : has_method;
}

int py_scopes_open(scopes *self, module_state *st, const scope_templates *given, PyObject *root_path)
{
    Py_XSETREF(self->template, PyDict_Copy(given->template));
    if (self->template == NULL || take_extensions(self, st, given->coded) < 0 || make_ws_template(self, st, given->websocket) < 0) return -1;
    Py_XSETREF(self->root_path, Py_NewRef(root_path));
    Py_XSETREF(self->servers, PyTuple_New(0));
    return self->servers ? 0 : -1;
}

int py_scopes_traverse(scopes *self, visitproc visit, void *arg)
{
    Py_VISIT(self->servers);
    Py_VISIT(self->template);
    Py_VISIT(self->extensions);
    Py_VISIT(self->coded_extensions);
    Py_VISIT(self->ws_template);
    Py_VISIT(self->ws_extensions);
    Py_VISIT(self->lifespan);
    return 0;
}

void py_scopes_clear(scopes *self)
{
    Py_CLEAR(self->servers);
    Py_CLEAR(self->template);
    Py_CLEAR(self->extensions);
    Py_CLEAR(self->coded_extensions);
    Py_CLEAR(self->ws_template);
    Py_CLEAR(self->ws_extensions);
    Py_CLEAR(self->lifespan);
}

void py_scopes_free(scopes *self)
{
    Py_CLEAR(self->root_path);
    Py_CLEAR(self->host_text);
    py_tls_clear(&self->tls);
}

/* Sets the items that only a websocket request has, or only any other request. */
static int put_kind(module_state *st, PyObject *scope, const struct saltare_event *event)
{
    if (event->flags & EVENT_WEBSOCKET) return put(scope, st->s_subprotocols, py_subprotocols(event->data));
    return put(scope, st->s_method, method_text(st, event->data));
}

/* Replaces the scheme and the root path by those that a proxy says. */
static int put_forwarded(scopes *self, module_state *st, PyObject *scope, const struct saltare_event *event)
{
    const struct saltare_request *r = event->data;
    const bool websocket = event->flags & EVENT_WEBSOCKET, secure = r->scheme == SCHEME_HTTPS;
    PyObject *scheme = websocket ? (secure ? st->wss : st->ws) : secure ? st->https : st->http;
    if (r->scheme != 0 && PyDict_SetItem(scope, st->s_scheme, scheme) < 0) return -1;
    return r->prefix.len != 0 ? put(scope, st->s_root_path, root_path(self, r)) : 0;
}

/* A copy of the lifespan state, which is held meanwhile: the attribute may be replaced. */
static PyObject *state(scopes *self)
{
    PyObject *lifespan = Py_XNewRef(self->lifespan);
    PyObject *copy = lifespan ? PyDict_Copy(lifespan) : PyDict_New();
    Py_XDECREF(lifespan);
    return copy;
}

/* Sets the request's id, in the scope and in its state, which it has got before. */
static int put_id(module_state *st, PyObject *scope, PyObject *id)
{
    PyObject *state = Py_XNewRef(PyDict_GetItemWithError(scope, st->s_state));
    int status = state ? PyDict_SetItem(state, st->s_request_id, id) : -1;
    Py_XDECREF(state);
    return status < 0 ? -1 : PyDict_SetItem(scope, st->s_x_request_id, id);
}

/* Sets what the request is called, which stands behind its fields. */
static int put_names(module_state *st, PyObject *scope, const struct saltare_event *event)
{
    const struct saltare_request *r = event->data;
    const struct saltare_field *f = r->fields + r->n_fields;
    if (event->flags & EVENT_ID) {
        PyObject *id = span_text(r, f++->value);
        int status = id ? put_id(st, scope, id) : -1;
        Py_XDECREF(id);
        if (status < 0) return -1;
    }
    if ((event->flags & EVENT_TRACE) == 0) return 0;
    if (put(scope, st->s_traceparent, span_text(r, f[0].value)) < 0) return -1;
    return f[1].value.len != 0 ? put(scope, st->s_tracestate, span_text(r, f[1].value)) : 0;
}

/* The template of the extensions for a request with these flags of its event, borrowed. */
static PyObject *extensions_for(scopes *self, uint32_t flags)
{
    return flags & EVENT_WEBSOCKET ? self->ws_extensions : flags & EVENT_CODINGS ? self->coded_extensions : self->extensions;
}

/* The extensions of a request. */
static PyObject *extensions(scopes *self, const struct saltare_event *event)
{
    PyObject *copy = PyDict_Copy(extensions_for(self, event->flags));
    const struct saltare_request *r = event->data;
    if (copy != NULL && (event->flags & EVENT_TLS) && py_tls_put(&self->tls, copy, (const struct saltare_tls *)(r + 1)) < 0) Py_CLEAR(copy);
    return copy;
}

PyObject *py_scope(scopes *self, module_state *st, const struct saltare_event *event)
{
    const struct saltare_request *r = event->data;
    bool websocket = event->flags & EVENT_WEBSOCKET;
    PyObject *scope = PyDict_Copy(websocket ? self->ws_template : self->template);
    if (scope == NULL) return NULL;
    if (put_kind(st, scope, event) < 0 ||
        put(scope, st->s_path, path_text(self, r)) < 0 ||
        put(scope, st->s_raw_path, span_bytes(r, r->raw_path)) < 0 ||
        put(scope, st->s_query_string, span_bytes(r, r->query)) < 0 ||
        put(scope, st->s_headers, headers_list(st, r)) < 0 ||
        put(scope, st->s_client, client(self, r)) < 0 ||
        put(scope, st->s_server, server(self, r)) < 0 ||
        put(scope, st->s_extensions, extensions(self, event)) < 0 ||
        put(scope, st->s_state, state(self)) < 0 ||
        put_forwarded(self, st, scope, event) < 0 ||
        (event->flags & (EVENT_ID | EVENT_TRACE) && put_names(st, scope, event) < 0) ||
        (r->minor == 0 && PyDict_SetItem(scope, st->s_http_version, st->http_1_0) < 0)) {
        Py_DECREF(scope);
        return NULL;
    }
    return scope;
}
