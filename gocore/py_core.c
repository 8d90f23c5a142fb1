/* type Core: a server as Python sees it; how it is created and closed. Its poll() is in py_core_turn.c. */
#include "py_core.h"

#include <stdlib.h>
#include <structmember.h>

#include "py_core_type.h"
#include "py_error.h"
#include "py_exchange.h"
#include "py_file.h"
#include "py_fork.h"
#include "py_options.h"

int py_core_usable(core *self, const char *doing)
{
    if (py_refuse_forked() < 0) return -1;
    if (self->handle != 0) return 0;
    PyErr_Format(PyExc_RuntimeError, "%s: the core is closed", doing);
    return -1;
}

/* Opens the core with options that no other code can change. */
static int open_core(core *self, PyObject *options, const scope_templates *scopes, PyObject *root_path)
{
    struct saltare_setting settings[SALTARE_OPTIONS_MOST];
    struct saltare_config config = {.settings = settings, .forked = py_has_forked()};
    if (py_options_read(options, settings, &config.n_settings) < 0) return -1;
    if (self->loop.state != NULL) { /* checked after reading the options, which may have opened it */
        PyErr_SetString(PyExc_RuntimeError, "a Core is opened once");
        return -1;
    }
    self->loop.state = py_state(Py_TYPE(self));
    if (self->loop.state == NULL) return -1;
    Py_XSETREF(self->keys, PyDict_New());
    if (self->keys == NULL || py_scopes_open(&self->scopes, self->loop.state, scopes, root_path) < 0) return -1;
    struct saltare_opened opened = {0};
    int64_t handle = saltare_open(&config, &opened);
    if (handle < 0) {
        if (opened.why != NULL) {
            PyErr_SetString(PyExc_ValueError, opened.why);
            free(opened.why);
        } else {
            py_raise_status(handle, "open");
        }
        return -1;
    }
    self->handle = handle;
    self->epoll_fd = opened.epoll_fd;
    self->guest = opened.guest != 0;
    self->loop.state->cores++;
    return 0;
}

static int core_init(core *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"options", "scope", "root_path", "websocket", "coded", NULL};
    PyObject *options, *root_path;
    scope_templates scopes = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!U|O!O!:Core", names, &PyDict_Type, &options, &PyDict_Type, &scopes.template, &root_path,
                                     &PyDict_Type, &scopes.websocket, &PyDict_Type, &scopes.coded) ||
        py_refuse_forked() < 0) {
        return -1;
    }
    PyObject *own = PyDict_Copy(options);
    int status = own ? open_core(self, own, &scopes, root_path) : -1;
    Py_XDECREF(own);
    return status;
}

/* One listener: (descriptor, bound to a wildcard address?, scope["server"]). Appends scope["server"] to servers. */
static int read_listener(PyObject *item, struct saltare_listener *listener, PyObject *servers)
{
    int fd, wildcard;
    PyObject *server;
    if (!PyTuple_Check(item)) {
        PyErr_Format(PyExc_TypeError, "listen() takes tuples, not %.100s", Py_TYPE(item)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(item, "ipO:listen", &fd, &wildcard, &server)) return -1;
    *listener = (struct saltare_listener){.fd = fd, .wildcard = wildcard != 0};
    return PyList_Append(servers, server);
}

static PyObject *core_listen(core *self, PyObject *listeners)
{
    if (py_core_usable(self, "listen") < 0) return NULL;
    PyObject *items = PySequence_Tuple(listeners);
    if (items == NULL) return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(items);
    PyObject *found = PyList_New(0), *servers = NULL;
    struct saltare_listener *list = PyMem_Calloc((size_t)n + 1, sizeof *list);
    bool ok = found != NULL && list != NULL;
    if (list == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; ok && i < n; i++) ok = read_listener(PyTuple_GET_ITEM(items, i), &list[i], found) == 0;
    if (ok) servers = PyList_AsTuple(found);
    int32_t status = servers ? saltare_listen(self->handle, list, (uint32_t)n) : 0;
    if (servers && status == 0) Py_SETREF(self->scopes.servers, Py_NewRef(servers));
    PyMem_Free(list);
    ok = servers != NULL;
    Py_XDECREF(found);
    Py_XDECREF(servers);
    Py_DECREF(items);
    if (!ok) return NULL;
    if (status < 0) return py_raise_status(status, "listen");
    Py_RETURN_NONE;
}

static PyObject *core_reopen_log(core *self, PyObject *Py_UNUSED(ignored))
{
    if (py_core_usable(self, "reopen_log") < 0) return NULL;
    int32_t status = saltare_reopen_log(self->handle);
    if (status < 0) return py_raise_status(status, "reopen_log");
    Py_RETURN_NONE;
}

static PyObject *core_release_soon(core *self, PyObject *Py_UNUSED(ignored))
{
    py_core_release_soon(self);
    Py_RETURN_NONE;
}

static PyObject *core_again(core *self, PyObject *Py_UNUSED(ignored))
{
    self->quiet_goes_on = true;
    return py_loop_call_wake(&self->loop) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *core_unready(core *self, PyObject *Py_UNUSED(ignored))
{
    if (py_core_usable(self, "unready") < 0) return NULL;
    int32_t status = saltare_unready(self->handle);
    return status < 0 ? py_raise_status(status, "unready") : Py_NewRef(Py_None);
}

static PyObject *core_drain(core *self, PyObject *Py_UNUSED(ignored))
{
    if (py_core_usable(self, "drain") < 0) return NULL;
    int32_t status = saltare_drain(self->handle);
    if (status < 0) return py_raise_status(status, "drain");
    return py_loop_call_wake(&self->loop) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Drops what is queued for slow peers. */
static void release_queued(core *self, int64_t handle)
{
    struct saltare_turn turn = {0};
    do {
        saltare_abandon(handle, &turn);
        for (uint32_t i = 0; i < turn.n_events; i++) {
            if (turn.events[i].kind == EVENT_RELEASE) py_release_borrowed(&self->loop, turn.events[i].stream);
        }
    } while (turn.n_events > 0);
}

/* Releases what commands hold that no turn will take. Detaches the outbox first, since releasing a body may send. */
static void release_outbox(core *self, outbox *box)
{
    while (box->len > 0) {
        outbox taken = *box;
        struct saltare_command *command;
        *box = (outbox){0};
        for (size_t at = 0; (command = py_outbox_next(&taken, &at)) != NULL;) {
            const int kind = command->kind;
            /* A forked child may hold the outbox of a turn in progress; the parent owns its descriptors. */
            if (kind == COMMAND_FILE && !py_forked()) py_file_close((struct saltare_file *)(command + 1));
            if (kind == COMMAND_BODY_REF || kind == COMMAND_WS_SEND_REF) py_release_borrowed(&self->loop, ((struct saltare_body_ref *)(command + 1))->token);
        }
        py_outbox_free(&taken);
    }
    py_outbox_free(box);
}

static PyObject *core_close(core *self, PyObject *Py_UNUSED(ignored))
{
    int64_t handle = self->handle;
    if (handle == 0) Py_RETURN_NONE;
    if (self->polling && !py_forked()) {
        PyErr_SetString(PyExc_RuntimeError, "close() within poll()");
        return NULL;
    }
    self->handle = 0; /* first, so that code that runs when exchanges end finds the core closed */
    self->epoll_fd = -1;
    self->loop.state->cores--;
    py_exchange_end_all(&self->loop);
    if (!py_forked()) {
        release_queued(self, handle);
        saltare_close(handle);
    }
    release_outbox(self, &self->loop.boxes[0]);
    release_outbox(self, &self->loop.boxes[1]);
    Py_RETURN_NONE;
}

static PyObject *core_stats(core *self, PyObject *Py_UNUSED(ignored))
{
    struct saltare_stats s;
    if (py_core_usable(self, "stats") < 0) return NULL;
    int32_t status = saltare_stats(self->handle, &s);
    if (status < 0) return py_raise_status(status, "stats");
    return Py_BuildValue("{sKsKsKsKsKsKsKsK}", "connections", s.connections, "streams", s.streams, "requests", s.requests, "accepted", s.accepted,
                         "refused", s.refused, "buffers", s.buffers, "unsent", s.unsent, "panics", s.panics);
}

static PyObject *core_phases(core *self, PyObject *Py_UNUSED(ignored))
{
    unsigned long long n[6];
    _Static_assert(sizeof n[0] == sizeof(uint64_t), "Py_BuildValue has no format for uint64_t");
    if (py_core_usable(self, "phases") < 0) return NULL;
    int32_t status = saltare_phases(self->handle, (uint64_t *)n);
    if (status < 0) return py_raise_status(status, "phases");
    return Py_BuildValue("{sKsKsKsKsKsK}", "reading_head", n[0], "in_request", n[1], "sending", n[2], "idle", n[3], "in_handshake", n[4], "lingering", n[5]);
}

static PyObject *core_refusals(core *self, PyObject *Py_UNUSED(ignored))
{
    struct saltare_refusal one;
    if (py_core_usable(self, "refusals") < 0) return NULL;
    PyObject *counts = PyDict_New();
    for (uint32_t i = 0; counts != NULL && saltare_refusal(self->handle, i, &one) == 0; i++) {
        PyObject *cause = PyUnicode_FromStringAndSize(one.cause, (Py_ssize_t)one.cause_len), *count = PyLong_FromUnsignedLongLong(one.count);
        if (cause == NULL || count == NULL || PyDict_SetItem(counts, cause, count) < 0) Py_CLEAR(counts);
        Py_XDECREF(cause);
        Py_XDECREF(count);
    }
    return counts;
}

static int core_traverse(core *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (uint32_t i = 0; i < self->loop.n_exchanges; i++) Py_VISIT(self->loop.exchanges[i]);
    Py_VISIT(self->keys);
    Py_VISIT(self->dispatch);
    Py_VISIT(self->loop.create_future);
    Py_VISIT(self->log);
    Py_VISIT(self->loop.elsewhere);
    Py_VISIT(self->loop.wake);
    Py_VISIT(self->on_quiet);
    Py_VISIT(self->on_empty);
    Py_VISIT(self->on_retire);
    return py_scopes_traverse(&self->scopes, visit, arg);
}

static int core_clear(core *self)
{
    for (uint32_t i = 0; i < self->loop.n_exchanges; i++) Py_CLEAR(self->loop.exchanges[i]);
    Py_CLEAR(self->keys);
    Py_CLEAR(self->dispatch);
    Py_CLEAR(self->loop.create_future);
    Py_CLEAR(self->log);
    Py_CLEAR(self->loop.elsewhere);
    Py_CLEAR(self->loop.wake);
    Py_CLEAR(self->on_quiet);
    Py_CLEAR(self->on_empty);
    Py_CLEAR(self->on_retire);
    py_scopes_clear(&self->scopes);
    return 0;
}

/* Closing may run Python code that sees the object, so it is done here and not in dealloc (PEP 442). */
static void core_finalize(core *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *result = core_close(self, NULL);
    if (result == NULL) PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(result);
    PyErr_Restore(type, value, traceback);
}

static void core_dealloc(core *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) return;
    PyObject_GC_UnTrack(self);
    core_clear(self);
    py_scopes_free(&self->scopes);
    PyMem_Free(self->loop.exchanges);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef core_methods[] = {
    {"poll", (PyCFunction)(void (*)(void))py_core_poll, METH_FASTCALL,
     "poll(timeout=None) -> ready: one turn. Writes what the app sent, waits at most timeout seconds, dispatches requests.\n\n"
     "ready holds (key, mask) for every watched descriptor, as select() of a selector has it."},
    {"watch", (PyCFunction)py_core_watch, METH_VARARGS, "watch(fd, mask, key): reports fd by (key, mask) in poll(); mask as in selectors."},
    {"unwatch", (PyCFunction)py_core_unwatch, METH_O, "unwatch(fd): KeyError when it is not watched."},
    {"listen", (PyCFunction)core_listen, METH_O, "listen([(fd, is_wildcard, scope_server), ...]): accepts from bound, listening, non-blocking sockets."},
    {"reopen_log", (PyCFunction)core_reopen_log, METH_NOARGS, "reopen_log(): opens the file of the access log again."},
    {"again", (PyCFunction)core_again, METH_NOARGS, "again(): on_quiet is called once more, in the next turn, which does not wait."},
    {"release_soon", (PyCFunction)core_release_soon, METH_NOARGS, "release_soon(): release is called before the next wait, as in a quiet period."},
    {"unready", (PyCFunction)core_unready, METH_NOARGS, "unready(): health answers say from now on that the server is about to stop."},
    {"drain", (PyCFunction)core_drain, METH_NOARGS, "drain(): stops accepting; on_empty is called when the last connection is gone."},
    {"close", (PyCFunction)core_close, METH_NOARGS, "close(): ends everything at once; may be called again."},
    {"stats", (PyCFunction)core_stats, METH_NOARGS, "stats() -> dict of figures."},
    {"phases", (PyCFunction)core_phases, METH_NOARGS, "phases() -> dict: phase -> number of open connections in it."},
    {"refusals", (PyCFunction)core_refusals, METH_NOARGS, "refusals() -> dict: cause, mostly the option that sets a limit -> how often."},
    {NULL},
};

static PyMemberDef core_members[] = {
    {"dispatch", T_OBJECT, offsetof(core, dispatch), 0, "A Starter, or any dispatch(exchange, scope) that starts the app on a request."},
    {"state", T_OBJECT, offsetof(core, scopes.lifespan), 0, "dict of the lifespan; each scope has a copy."},
    {"create_future", T_OBJECT, offsetof(core, loop.create_future), 0, "create_future of the loop."},
    {"log", T_OBJECT, offsetof(core, log), 0, "log(level, line): 1 debug, 2 error, 3 warning."},
    {"elsewhere", T_OBJECT, offsetof(core, loop.elsewhere), 0, "elsewhere(send, message) -> awaitable: send() in a thread that does not poll."},
    {"ignored_most", T_UBYTE, offsetof(core, loop.ignored_most), 0, "Messages of a request that send() ignores once the peer has gone."},
    {"wake", T_OBJECT, offsetof(core, loop.wake), 0, "Of a guest: called when something is to be written out."},
    {"on_retire", T_OBJECT, offsetof(core, on_retire), 0, "on_retire(why): asks for this worker to be replaced. Called once."},
    {"on_quiet", T_OBJECT, offsetof(core, on_quiet), 0, "Called when the app has been silent for a while, within poll(), and after again()."},
    {"on_empty", T_OBJECT, offsetof(core, on_empty), 0, "Called when a draining server has lost its last connection."},
    {"epoll_fd", T_INT, offsetof(core, epoll_fd), READONLY, "Readable when poll() has something to do."},
    {"more", T_BOOL, offsetof(core, more), READONLY, "The last turn left work for the next one."},
    {NULL},
};

static PyGetSetDef core_getset[] = {
    {"release", (getter)py_core_get_release, (setter)py_core_set_release, "saltare._memory.API, or None: nothing is released before a wait.", NULL},
    {NULL},
};

static PyType_Slot core_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, core_init},
    {Py_tp_methods, core_methods},
    {Py_tp_members, core_members},
    {Py_tp_getset, core_getset},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear},
    {Py_tp_finalize, core_finalize},
    {Py_tp_dealloc, core_dealloc},
    {0, NULL},
};

PyType_Spec py_core_spec = {
    .name = SALTARE_MODULE ".Core",
    .basicsize = sizeof(core),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = core_slots,
};
