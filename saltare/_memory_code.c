/* saltare._memory: equal parts of code objects exist once, whichever functions they belong to.  per process
 *
 * The compiler and marshal make the names of the locals for every module anew, and the bytes that say what kind of variable
 * each is for every function. They are immutable, so nobody can tell when one takes the place of its equals; what that frees is
 * used by the modules that follow. Only code that nobody else has seen yet is touched: an interpreter that executes it keeps
 * pointers to its parts. Source: Include/cpython/code.h, _PyEval_EvalFrameDefault. */
#include "_memory.h"

/* Replaces *part by the first that was equal to it. Returns 0, or -1 with an exception. */
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

/* Of all functions within an object that has one reference, if it is code. The code of modules and classes itself runs once
 * and goes: its parts, many of them large, would stay for our sake. Returns 0, or -1 with an exception. */
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

/* self: (get_code, known). Calls get_code; parts of what it returns are shared with those seen before. */
static PyObject *sharing_get_code(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *code = PyObject_Call(PyTuple_GET_ITEM(self, 0), args, kwargs);
    if (code != NULL && share_parts(code, PyTuple_GET_ITEM(self, 1)) != 0) Py_CLEAR(code);
    return code;
}

static PyMethodDef sharing = {"get_code", (PyCFunction)(void (*)(void))sharing_get_code, METH_VARARGS | METH_KEYWORDS, NULL};

/* sharing(get_code, known): a method for a loader that does what get_code does; `known` is a dict, empty at first, of each part
 * to itself. It is no Python function, since its frame would be seen in the traceback of a syntax error, and those of importlib
 * for its sake. */
PyObject *memory_sharing(PyObject *module, PyObject *args)
{
    PyObject *get_code, *known;
    if (!PyArg_ParseTuple(args, "OO!:sharing", &get_code, &PyDict_Type, &known)) return NULL;
    PyObject *function = PyCFunction_New(&sharing, args);
    PyObject *method = function ? PyInstanceMethod_New(function) : NULL;
    Py_XDECREF(function);
    return method;
}
