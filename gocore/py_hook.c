/* Calls of hooks, which Python sets as attributes. */
#include "py_hook.h"

PyObject *py_call_hook(PyObject *hook, const char *name, PyObject *const *args, size_t n)
{
    if (hook == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s of the core is not set", name);
        return NULL;
    }
    Py_INCREF(hook);
    PyObject *result = PyObject_Vectorcall(hook, args, n, NULL);
    Py_DECREF(hook);
    return result;
}

int py_call_if_set(PyObject *hook, const char *name)
{
    PyObject *result = hook ? py_call_hook(hook, name, NULL, 0) : Py_NewRef(Py_None);
    Py_XDECREF(result);
    return result ? 0 : -1;
}
