/* The module saltare._core: its state, its types, its functions.  per process */
#include "py_state.h"

#include <string.h>

/* The state lies apart from the module: when an interpreter ends, the collector frees the module before the last of its
 * objects, and these still count themselves out. */
static module_state *state_of(PyObject *module) { return *(module_state **)PyModule_GetState(module); }

module_state *py_state(PyTypeObject *type)
{
    module_state **state = PyType_GetModuleState(type);
    return state ? *state : NULL;
}

/* live() -> dict: what exists now in this process. All zero when no server runs. */
static PyObject *core_live(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    module_state *st = state_of(module);
    struct saltare_live go = {0};
    Py_BEGIN_ALLOW_THREADS /* it asks every server, and one may be in a turn */
    if (!py_forked()) saltare_live(&go);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("{snsnsnsnsKsKsKsKsKsKsK}", "cores", st->cores, "exchanges", st->exchanges, "awaitables", st->awaitables - 1, "borrowed",
                         st->borrowed, "handles", go.handles, "connections", go.connections, "streams", go.streams, "sockets", go.sockets, "buffers", go.buffers, "queues",
                         go.queues, "files", go.files);
}

/* build_info() -> {"flavour", "version", "go"} */
static PyObject *core_build_info(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char flavour[32], version[64], go[64];
    if (py_refuse_forked() < 0) return NULL;
    if (sscanf(saltare_build_info(), "%31s %63s %63s", flavour, version, go) != 3) {
        PyErr_SetString(PyExc_SystemError, "saltare._core was built without build information");
        return NULL;
    }
    return Py_BuildValue("{ssssss}", "flavour", flavour, "version", version, "go", go);
}

static PyMethodDef module_methods[] = {
    {"live", core_live, METH_NOARGS, "live() -> dict: debug counters, all zero when no server is open in this process."},
    {"build_info", core_build_info, METH_NOARGS, "build_info() -> dict with flavour, version and go."},
    {NULL},
};

static int intern(PyObject **to, const char *text)
{
    *to = PyUnicode_InternFromString(text);
    return *to ? 0 : -1;
}

/* Messages and scopes share their keys with the app's constants where those are interned too. */
static int intern_all(module_state *st)
{
    struct {
        PyObject **to;
        const char *text;
    } all[] = {
        {&st->s_type, "type"},
        {&st->s_status, "status"},
        {&st->s_headers, "headers"},
        {&st->s_body, "body"},
        {&st->s_more_body, "more_body"},
        {&st->s_http_request, "http.request"},
        {&st->s_http_disconnect, "http.disconnect"},
        {&st->s_http_version, "http_version"},
        {&st->s_method, "method"},
        {&st->s_path, "path"},
        {&st->s_raw_path, "raw_path"},
        {&st->s_query_string, "query_string"},
        {&st->s_client, "client"},
        {&st->s_server, "server"},
        {&st->s_state, "state"},
        {&st->s_extensions, "extensions"},
        {&st->s_trailers, "trailers"},
        {&st->s_more_trailers, "more_trailers"},
        {&st->s_links, "links"},
        {&st->s_file, "file"},
        {&st->s_offset, "offset"},
        {&st->s_count, "count"},
        {&st->s_done, "done"},
        {&st->s_result, "result"},
        {&st->s_blocking, "_asyncio_future_blocking"},
        {&st->s_set_result, "set_result"},
        {&st->s_throw, "throw"},
        {&st->s_close, "close"},
        {&st->s_nest_patched, "_nest_patched"},
        {&st->s_websocket_connect, "websocket.connect"},
        {&st->s_websocket_receive, "websocket.receive"},
        {&st->s_websocket_disconnect, "websocket.disconnect"},
        {&st->s_text, "text"},
        {&st->s_bytes, "bytes"},
        {&st->s_code, "code"},
        {&st->s_reason, "reason"},
        {&st->s_subprotocol, "subprotocol"},
        {&st->s_subprotocols, "subprotocols"},
        {&st->m_get, "GET"},
        {&st->m_post, "POST"},
        {&st->m_put, "PUT"},
        {&st->m_delete, "DELETE"},
        {&st->m_patch, "PATCH"},
        {&st->m_head, "HEAD"},
        {&st->m_options, "OPTIONS"},
        {&st->http_1_0, "1.0"},
        {&st->empty_text, ""},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (intern(all[i].to, all[i].text) < 0) return -1;
    }
    return 0;
}

static int make_known_names(module_state *st)
{
    for (uint32_t id = 1, len; id < KNOWN_NAMES_MAX; id++) {
        const char *name = saltare_known_name(id, &len);
        if (name == NULL) break;
        st->known_names[id] = PyBytes_FromStringAndSize(name, len);
        if (st->known_names[id] == NULL) return -1;
    }
    return 0;
}

static PyTypeObject *make_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
    return type;
}

static int import_errors(module_state *st)
{
    struct {
        PyObject **to;
        const char *name;
    } all[] = {
        {&st->disconnected, "ClientDisconnected"},
        {&st->order_error, "MessageOrderError"},
        {&st->value_error, "MessageValueError"},
        {&st->type_error, "MessageTypeError"},
        {&st->length_error, "ContentLengthError"},
        {&st->body_error, "UnexpectedBodyError"},
    };
    PyObject *errors = PyImport_ImportModule("saltare.errors");
    int status = errors ? 0 : -1;
    for (size_t i = 0; status == 0 && i < sizeof all / sizeof *all; i++) {
        *all[i].to = PyObject_GetAttrString(errors, all[i].name);
        status = *all[i].to ? 0 : -1;
    }
    Py_XDECREF(errors);
    return status;
}

static int module_exec(PyObject *module)
{
    if (py_refuse_forked() < 0 || py_watch_fork() < 0) return -1;
    module_state *st = PyMem_Calloc(1, sizeof *st);
    if (st == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *(module_state **)PyModule_GetState(module) = st;
    if ((st->core_type = make_type(module, &py_core_spec)) == NULL) return -1;
    if ((st->exchange_type = make_type(module, &py_exchange_spec)) == NULL) return -1;
    if ((st->socket_type = make_type(module, &py_socket_spec)) == NULL) return -1;
    if ((st->awaitable_type = make_type(module, &py_awaitable_spec)) == NULL) return -1;
    if ((st->run_type = make_type(module, &py_run_spec)) == NULL) return -1;
    if ((st->starter_type = make_type(module, &py_starter_spec)) == NULL) return -1;
    if (intern_all(st) < 0 || make_known_names(st) < 0 || import_errors(st) < 0) return -1;
    if ((st->empty_bytes = PyBytes_FromStringAndSize(NULL, 0)) == NULL) return -1;
    if ((st->empty_tuple = PyTuple_New(0)) == NULL) return -1;
    if ((st->sent = py_awaitable_none(st)) == NULL) return -1;
    return 0;
}

#define EACH_OBJECT(DO)                                                                                                                      \
    DO(core_type) DO(exchange_type) DO(socket_type) DO(awaitable_type) DO(run_type) DO(starter_type)                                                         \
    DO(disconnected) DO(order_error) DO(value_error) DO(type_error) DO(length_error) DO(body_error)                                          \
    DO(sent) DO(empty_bytes) DO(empty_tuple) DO(empty_text) DO(http_1_0)                                                                                  \
    DO(s_type) DO(s_status) DO(s_headers) DO(s_body) DO(s_more_body) DO(s_http_request) DO(s_http_disconnect)                                \
    DO(s_http_version) DO(s_method) DO(s_path) DO(s_raw_path) DO(s_query_string) DO(s_client) DO(s_server) DO(s_state)                       \
    DO(s_extensions) DO(s_trailers) DO(s_more_trailers) DO(s_links) DO(s_file) DO(s_offset) DO(s_count)                                      \
    DO(s_done) DO(s_result) DO(s_blocking) DO(s_set_result) DO(s_throw) DO(s_close) DO(s_nest_patched)                                           \
    DO(s_websocket_connect) DO(s_websocket_receive) DO(s_websocket_disconnect) DO(s_text) DO(s_bytes) DO(s_code) DO(s_reason)              \
    DO(s_subprotocol) DO(s_subprotocols)                                                                                                     \
    DO(m_get) DO(m_post) DO(m_put) DO(m_delete) DO(m_patch) DO(m_head) DO(m_options)

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *st = state_of(module);
    if (st == NULL) return 0;
#define VISIT(name) Py_VISIT(st->name);
    EACH_OBJECT(VISIT)
#undef VISIT
    for (int id = 0; id < KNOWN_NAMES_MAX; id++) Py_VISIT(st->known_names[id]);
    return 0;
}

static int module_clear(PyObject *module)
{
    module_state *st = state_of(module);
    if (st == NULL) return 0;
#define CLEAR(name) Py_CLEAR(st->name);
    EACH_OBJECT(CLEAR)
#undef CLEAR
    for (int id = 0; id < KNOWN_NAMES_MAX; id++) Py_CLEAR(st->known_names[id]);
    return 0;
}

static void module_free(void *module)
{
    module_state *st = state_of(module);
    module_clear(module);
    if (st != NULL && st->cores == 0 && st->exchanges == 0 && st->awaitables == 0) PyMem_Free(st);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "saltare._core",
    .m_doc = "The core of saltare: sockets, HTTP and timers in Go, and its bridge to CPython.",
    .m_size = sizeof(module_state *),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__core(void)
{
    py_restore_timer_slack();
    return PyModuleDef_Init(&module_def);
}
