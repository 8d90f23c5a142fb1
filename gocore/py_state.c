/* The state of a module: created at import, freed after the last of its objects. */
#include "py_state.h"

#include "bridge.h"

/* The state is allocated apart from the module: when an interpreter ends, the collector frees the module before the last of
 * its objects, which still decrement the counters. */
module_state *py_state_of(PyObject *module) { return *(module_state **)PyModule_GetState(module); }

module_state *py_state(PyTypeObject *type)
{
    module_state **state = PyType_GetModuleState(type);
    return state ? *state : NULL;
}

static int intern_names(module_state *st)
{
#define INTERN(member, text) \
    if ((st->member = PyUnicode_InternFromString(text)) == NULL) return -1;
    EACH_NAME(INTERN)
#undef INTERN
    return 0;
}

static int import_errors(module_state *st)
{
    PyObject *errors = PyImport_ImportModule("saltare.errors");
    if (errors == NULL) return -1;
#define IMPORT(member, name) \
    if (!PyErr_Occurred()) st->member = PyObject_GetAttrString(errors, name);
    EACH_ERROR(IMPORT)
#undef IMPORT
    Py_DECREF(errors);
    return PyErr_Occurred() ? -1 : 0;
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

int py_state_open(PyObject *module)
{
    module_state *st = PyMem_Calloc(1, sizeof *st);
    if (st == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *(module_state **)PyModule_GetState(module) = st;
    if (intern_names(st) < 0 || make_known_names(st) < 0 || import_errors(st) < 0) return -1;
    if ((st->empty_bytes = PyBytes_FromStringAndSize(NULL, 0)) == NULL) return -1;
    return (st->empty_tuple = PyTuple_New(0)) ? 0 : -1;
}

#define EACH_OBJECT(DO)         \
    EACH_TYPE(DO)               \
    EACH_ERROR(DO)              \
    EACH_NAME(DO)               \
    DO(sent, "")                \
    DO(empty_bytes, "")         \
    DO(empty_tuple, "")

int py_state_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *st = py_state_of(module);
    if (st == NULL) return 0;
#define VISIT(member, from) Py_VISIT(st->member);
    EACH_OBJECT(VISIT)
#undef VISIT
    for (int id = 0; id < KNOWN_NAMES_MAX; id++) Py_VISIT(st->known_names[id]);
    return 0;
}

int py_state_clear(PyObject *module)
{
    module_state *st = py_state_of(module);
    if (st == NULL) return 0;
#define CLEAR(member, from) Py_CLEAR(st->member);
    EACH_OBJECT(CLEAR)
#undef CLEAR
    for (int id = 0; id < KNOWN_NAMES_MAX; id++) Py_CLEAR(st->known_names[id]);
    return 0;
}

void py_state_free(PyObject *module)
{
    module_state *st = py_state_of(module);
    py_state_clear(module);
    if (st != NULL && st->cores == 0 && st->exchanges == 0 && st->awaitables == 0) PyMem_Free(st);
}
