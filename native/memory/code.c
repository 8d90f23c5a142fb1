/* saltare._memory: equal parts of code objects are shared by all functions.
 *
 * The compiler and marshal create new names of locals for every module, new bytes with the kinds of the variables for every
 * function, and new strings, line tables and tuples of constants even where equal ones exist. They are immutable, so one object can
 * replace its equals unnoticed; later modules use the memory that this frees.
 * Only code that nothing else has seen yet is changed: an interpreter that executes code keeps pointers to its parts.
 * Source: Include/cpython/code.h, _PyEval_EvalFrameDefault. */
#include "memory.h"

#include <stdbool.h>
#include <structmember.h>
#include <string.h>
#include <sys/mman.h>

/* ---- the first of all equal parts ----------------------------------------------------------------------------- */

/* Units: slots. */
#define FIRST_SIZE 4096

struct slot {
    Py_hash_t hash;
    PyObject *part; /* owned: str, bytes or tuple. NULL: free */
};

/* A hash table without Python objects of its own, which would leave holes between those that stay. */
struct known {
    struct slot *slots; /* mapped; NULL: sharing has stopped */
    size_t size, used;  /* size is a power of two */
};

static struct slot *map_slots(size_t size)
{
    void *at = mmap(NULL, size * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void stop(struct known *known)
{
    struct known stopped = *known;
    *known = (struct known){0};
    if (stopped.slots == NULL) return;
    for (size_t i = 0; i < stopped.size; i++) Py_XDECREF(stopped.slots[i].part);
    munmap(stopped.slots, stopped.size * sizeof(struct slot));
}

/* Items are compared by identity: 1, 1.0 and True are equal. */
static Py_hash_t hash_of(PyObject *part)
{
    if (!PyTuple_CheckExact(part)) return PyObject_Hash(part);
    size_t hash = 0x9e3779b97f4a7c15u;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(part); i++) {
        hash = (hash ^ ((size_t)PyTuple_GET_ITEM(part, i) >> 4)) * 0x100000001b3u;
    }
    return (Py_hash_t)(hash ^ hash >> 32);
}

static bool same(PyObject *a, PyObject *b)
{
    if (Py_TYPE(a) != Py_TYPE(b)) return false;
    if (PyUnicode_CheckExact(a)) return PyUnicode_GET_LENGTH(a) == PyUnicode_GET_LENGTH(b) && PyUnicode_Compare(a, b) == 0;
    if (Py_SIZE(a) != Py_SIZE(b)) return false;
    if (PyBytes_CheckExact(a)) return memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), (size_t)Py_SIZE(a)) == 0;
    return memcmp(((PyTupleObject *)a)->ob_item, ((PyTupleObject *)b)->ob_item, (size_t)Py_SIZE(a) * sizeof(PyObject *)) == 0;
}

/* The slot of the equal part, or the free one that it belongs into. */
static struct slot *slot_of(struct known *known, PyObject *part, Py_hash_t hash)
{
    for (size_t i = (size_t)hash;; i++) {
        struct slot *slot = &known->slots[i & (known->size - 1)];
        if (slot->part == NULL || (slot->hash == hash && same(slot->part, part))) return slot;
    }
}

/* Doubles the table when it is three quarters full. Without memory sharing stops. */
static void make_room(struct known *known)
{
    if (known->slots == NULL || known->used < known->size / 4 * 3) return;
    struct known larger = {map_slots(2 * known->size), 2 * known->size, known->used};
    if (larger.slots == NULL) {
        stop(known);
        return;
    }
    for (size_t i = 0; i < known->size; i++) {
        struct slot *old = &known->slots[i];
        if (old->part != NULL) *slot_of(&larger, old->part, old->hash) = *old;
    }
    munmap(known->slots, known->size * sizeof(struct slot));
    *known = larger;
}

/* Replaces *part by the first part equal to it. An interned string is kept: names are looked up by identity first. */
static void share_part(PyObject **part, struct known *known)
{
    PyObject *own = *part;
    Py_hash_t hash = hash_of(own);
    make_room(known);
    if (known->slots == NULL) return;
    struct slot *slot = slot_of(known, own, hash);
    if (slot->part == NULL) {
        *slot = (struct slot){hash, Py_NewRef(own)};
        known->used++;
    } else if (slot->part != own && !(PyUnicode_CheckExact(own) && PyUnicode_CHECK_INTERNED(own))) {
        *part = Py_NewRef(slot->part);
        Py_DECREF(own);
    }
}

/* ---- code ----------------------------------------------------------------------------------------------------- */

static void share_code(PyObject *object, struct known *known);

/* The items of a tuple come first, unless something else has the tuple too. */
static void share_constant(PyObject **part, struct known *known)
{
    PyObject *own = *part;
    if (PyTuple_CheckExact(own)) {
        for (Py_ssize_t i = 0; Py_REFCNT(own) == 1 && i < PyTuple_GET_SIZE(own); i++) {
            share_constant(&((PyTupleObject *)own)->ob_item[i], known);
        }
    }
    if (PyUnicode_CheckExact(own) || PyBytes_CheckExact(own) || PyTuple_CheckExact(own)) {
        share_part(part, known);
    } else {
        share_code(own, known);
    }
}

static void share_parts_of_function(PyCodeObject *code, struct known *known)
{
    PyObject **const parts[] = {
        &code->co_name, /* before the qualified name, which is the same for many */
        &code->co_names,
        &code->co_consts,
        &code->co_linetable,
#if PY_VERSION_HEX >= 0x030B0000
        &code->co_qualname,
        &code->co_localsplusnames,
        &code->co_localspluskinds,
        &code->co_exceptiontable,
#else
        &code->co_varnames,
        &code->co_freevars,
        &code->co_cellvars,
#endif
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) share_constant(parts[i], known);
}

/* Shares the parts of all functions within an object, if it is code with one reference. Skips code of modules and classes: it
 * runs once and is freed, but sharing would keep its parts, many of them large. */
static void share_code(PyObject *object, struct known *known)
{
    if (!PyCode_Check(object) || Py_REFCNT(object) != 1 || known->slots == NULL) return;
    PyCodeObject *code = (PyCodeObject *)object;
    if (code->co_flags & CO_OPTIMIZED) {
        share_parts_of_function(code, known);
        return;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) share_code(PyTuple_GET_ITEM(code->co_consts, i), known);
}

/* ---- the method ----------------------------------------------------------------------------------------------- */

/* A get_code for loaders that shares the parts of the code that another get_code returns. It is not a Python function: the
 * traceback of a syntax error would then show its frame, and those of importlib too. */
typedef struct {
    PyObject_HEAD
    PyObject *get_code; /* owned; the original */
    struct known known; /* owned */
} Sharing;

static PyObject *sharing_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    Sharing *self = (Sharing *)object;
    if (self->get_code == NULL) return PyErr_Format(PyExc_RuntimeError, "get_code was collected as garbage");
    PyObject *code = PyObject_Call(self->get_code, args, kwargs);
    if (code != NULL) share_code(code, &self->known);
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
    return 0; /* no part refers to a Sharing */
}

static int sharing_clear(PyObject *object)
{
    Sharing *self = (Sharing *)object;
    Py_CLEAR(self->get_code);
    stop(&self->known);
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
    self->known = (struct known){map_slots(FIRST_SIZE), FIRST_SIZE, 0};
    return (PyObject *)self;
}

/* stop(): stops sharing; the original get_code still runs. Returns None. */
static PyObject *sharing_stop(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    stop(&((Sharing *)self)->known);
    Py_RETURN_NONE;
}

static PyObject *sharing_known(PyObject *object, void *Py_UNUSED(closure))
{
    const struct known *known = &((Sharing *)object)->known;
    if (known->slots == NULL) Py_RETURN_NONE;
    PyObject *parts = PyList_New(0);
    for (size_t i = 0; parts != NULL && i < known->size; i++) {
        if (known->slots[i].part != NULL && PyList_Append(parts, known->slots[i].part) < 0) Py_CLEAR(parts);
    }
    return parts;
}

static PyMethodDef sharing_methods[] = {
    {"stop", sharing_stop, METH_NOARGS, "stop(): nothing is shared any more."},
    {NULL},
};

static PyMemberDef sharing_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Sharing, get_code), READONLY, NULL},
    {NULL},
};

static PyGetSetDef sharing_getset[] = {
    {"known", sharing_known, NULL, "List of the parts seen; None when nothing is shared any more.", NULL},
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
    {Py_tp_getset, sharing_getset},
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
