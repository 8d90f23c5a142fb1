/* The module saltare._core, or saltare._core_full: its types and its functions. */
#include "py_state.h"

#include "bridge.h"
#include "py_awaitable.h"
#include "py_core.h"
#include "py_exchange.h"
#include "py_fork.h"
#include "py_memory.h"
#include "py_options.h"
#include "py_run.h"
#include "py_starter.h"
#include "py_timerslack.h"
#include "py_websocket.h"

/* live() -> dict: counts of what exists in this process. All zero when no server runs. */
static PyObject *core_live(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    module_state *st = py_state_of(module);
    struct saltare_live go = {0};
    Py_BEGIN_ALLOW_THREADS /* waits for each server's lock, which a turn may hold */
    if (!py_forked()) saltare_live(&go);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("{snsnsnsnsKsKsKsKsKsKsK}", "cores", st->cores, "exchanges", st->exchanges, "awaitables", st->awaitables - 1, "borrowed",
                         st->borrowed, "handles", go.handles, "connections", go.connections, "streams", go.streams, "websockets", go.websockets, "buffers", go.buffers, "queues",
                         go.queues, "files", go.files);
}

/* build_info() -> {"flavour", "version", "go"} */
static PyObject *core_build_info(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char flavour[32], version[64], go[64];
    if (py_refuse_forked() < 0) return NULL;
    if (sscanf(saltare_build_info(), "%31s %63s %63s", flavour, version, go) != 3) {
        PyErr_SetString(PyExc_SystemError, SALTARE_MODULE " was built without build information");
        return NULL;
    }
    return Py_BuildValue("{ssssss}", "flavour", flavour, "version", version, "go", go);
}

/* options() -> {name: unit} */
static PyObject *core_options(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return py_refuse_forked() < 0 ? NULL : py_options_units();
}

static PyMethodDef module_methods[] = {
    {"live", core_live, METH_NOARGS, "live() -> dict: debug counters, all zero when no server is open in this process."},
    {"build_info", core_build_info, METH_NOARGS, "build_info() -> dict with flavour, version and go."},
    {"options", core_options, METH_NOARGS, "options() -> dict: the unit of each option of a Core by its name, \"ms\" or \"\"."},
    {NULL},
};

static PyTypeObject *make_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
    return type;
}

static int make_types(PyObject *module, module_state *st)
{
#define MAKE(member, spec) \
    if ((st->member = make_type(module, &spec)) == NULL) return -1;
    EACH_TYPE(MAKE)
#undef MAKE
    return 0;
}

static int module_exec(PyObject *module)
{
    if (py_refuse_forked() < 0 || py_watch_fork() < 0 || py_memory_check() < 0 || py_state_open(module) < 0) return -1;
    module_state *st = py_state_of(module);
    if (make_types(module, st) < 0) return -1;
    return (st->sent = py_awaitable_none(st)) ? 0 : -1;
}

static void module_free(void *module) { py_state_free(module); }

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = SALTARE_MODULE,
    .m_doc = "The core of saltare: sockets, HTTP and timers in Go, and its bridge to CPython.",
    .m_size = sizeof(module_state *),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = py_state_traverse,
    .m_clear = py_state_clear,
    .m_free = module_free,
};

__attribute__((visibility("default"))) PyMODINIT_FUNC SALTARE_INIT(void)
{
    py_restore_timer_slack();
    return PyModuleDef_Init(&module_def);
}
