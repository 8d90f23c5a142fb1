/* saltare._memory: equal parts of code objects are shared by all functions.
 *
 * The compiler and marshal create new names of locals for every module, and new bytes with the kinds of the variables for every
 * function. They are immutable, so one object can replace its equals unnoticed; later modules use the memory that this frees.
 * Only code that nothing else has seen yet is changed: an interpreter that executes code keeps pointers to its parts.
 * Source: Include/cpython/code.h, _PyEval_EvalFrameDefault. */
#include "memory.h"

#include <structmember.h>

/* Replaces *part by the first equal object. Returns 0, or -1 with an exception. */
static int share_part(PyObject **part, PyObject *known)
{
    PyObject *own = *part;
    PyObject *first = PyDict_SetDefault(known, own, own);
    if (first == NULL) return -1;
    if (first == own) return 0;
    *part = Py_NewRef(first);
    Py_DECREF(own);
    return 0;
}

static int share_parts_of_function(PyCodeObject *code, PyObject *known)
{
#if PY_VERSION_HEX >= 0x030B0000
    if (share_part(&code->co_localspluskinds, known) != 0) return -1;
    return share_part(&code->co_localsplusnames, known);
#else
    return share_part(&code->co_varnames, known);
#endif
}

/* Shares the parts of all functions within an object, if it is code with one reference. Skips code of modules and classes: it
 * runs once and is freed, but sharing would keep its parts, many of them large. Returns 0, or -1 with an exception. */
static int share_parts(PyObject *object, PyObject *known)
{
    if (!PyCode_Check(object) || Py_REFCNT(object) != 1) return 0;
    PyCodeObject *code = (PyCodeObject *)object;
    if (code->co_flags & CO_OPTIMIZED && share_parts_of_function(code, known) != 0) return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        if (share_parts(PyTuple_GET_ITEM(code->co_consts, i), known) != 0) return -1;
    }
    return 0;
}

/* ---- the method ----------------------------------------------------------------------------------------------- */

/* A get_code for loaders that shares the parts of the code that another get_code returns. It is not a Python function: the
 * traceback of a syntax error would then show its frame, and those of importlib too. */
typedef struct {
    PyObject_HEAD
    PyObject *get_code; /* owned; the original */
    PyObject *known;    /* owned; dict from each part to itself. NULL: sharing has stopped */
} Sharing;

static PyObject *sharing_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    Sharing *self = (Sharing *)object;
    if (self->get_code == NULL) return PyErr_Format(PyExc_RuntimeError, "get_code was collected as garbage");
    PyObject *code = PyObject_Call(self->get_code, args, kwargs);
    if (code == NULL || self->known == NULL) return code;
    PyObject *known = Py_NewRef(self->known);
    if (share_parts(code, known) != 0) Py_CLEAR(code);
    Py_DECREF(known);
    return code;
}

/* As for a function: access through the class returns it unbound, through an instance bound. */
static PyObject *sharing_descr_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    if (instance == NULL || instance == Py_None) return Py_NewRef(self);
    return PyMethod_New(self, instance);
}

static int sharing_traverse(PyObject *object, visitproc visit, void *arg)
{
    Sharing *self = (Sharing *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->get_code);
    Py_VISIT(self->known);
    return 0;
}

static int sharing_clear(PyObject *object)
{
    Sharing *self = (Sharing *)object;
    Py_CLEAR(self->get_code);
    Py_CLEAR(self->known);
    return 0;
}

static void sharing_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    sharing_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *sharing_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"get_code", NULL};
    PyObject *get_code;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Sharing", names, &get_code)) return NULL;
    Sharing *self = (Sharing *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->get_code = Py_NewRef(get_code);
    self->known = PyDict_New();
    if (self->known == NULL) Py_CLEAR(self);
    return (PyObject *)self;
}

/* stop(): stops sharing; the original get_code still runs. Returns None. */
static PyObject *sharing_stop(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Py_CLEAR(((Sharing *)self)->known);
    Py_RETURN_NONE;
}

static PyMethodDef sharing_methods[] = {
    {"stop", sharing_stop, METH_NOARGS, "stop(): nothing is shared any more."},
    {NULL},
};

static PyMemberDef sharing_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Sharing, get_code), READONLY, NULL},
    {"known", T_OBJECT, offsetof(Sharing, known), READONLY, "Parts, each to itself; None when nothing is shared any more."},
    {NULL},
};

static PyType_Slot sharing_slots[] = {
    {Py_tp_doc, "Sharing(get_code): a get_code of loaders that shares the parts of what another one returns."},
    {Py_tp_new, sharing_new},
    {Py_tp_dealloc, sharing_dealloc},
    {Py_tp_traverse, sharing_traverse},
    {Py_tp_clear, sharing_clear},
    {Py_tp_call, sharing_call},
    {Py_tp_descr_get, sharing_descr_get},
    {Py_tp_methods, sharing_methods},
    {Py_tp_members, sharing_members},
    {0, NULL},
};

static PyType_Spec sharing_spec = {
    .name = "saltare._memory.Sharing",
    .basicsize = sizeof(Sharing),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = sharing_slots,
};

int memory_add_sharing(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &sharing_spec, NULL);
    int status = type ? PyModule_AddObjectRef(module, "Sharing", type) : -1;
    Py_XDECREF(type);
    return status;
}
