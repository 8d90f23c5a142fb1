/* ASGI messages: created, read, and named in errors. */
#include "py_message.h"

#include <string.h>

PyObject *py_message(module_state *st, PyObject *type)
{
    PyObject *dict = PyDict_New();
    if (dict != NULL && PyDict_SetItem(dict, st->s_type, type) < 0) Py_CLEAR(dict);
    return dict;
}

int py_item_is_true(PyObject *message, PyObject *key)
{
    PyObject *value = py_item(message, key);
    int truth = value == NULL ? (PyErr_Occurred() ? -1 : 0) : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return truth;
}

bool py_is_kind(PyObject *type, const char *name, Py_ssize_t len)
{
    if (!PyUnicode_IS_COMPACT_ASCII(type)) return PyUnicode_CompareWithASCIIString(type, name) == 0; /* a subclass, such as a StrEnum */
    return PyUnicode_GET_LENGTH(type) == len && memcmp(PyUnicode_1BYTE_DATA(type), name, (size_t)len) == 0;
}

void py_name_error(module_state *st, PyObject *kind)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *ours = type == PyExc_TypeError                                     ? st->type_error
                     : type == PyExc_ValueError || type == PyExc_OverflowError ? st->value_error
                                                                                 : NULL;
    if (type == PyExc_UnicodeEncodeError) ours = st->value_error;
    if (ours == NULL) {
        PyErr_Restore(type, value, traceback);
        return;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    PyErr_Format(ours, "%U: %S", kind, value);
    PyErr_Fetch(&type, &ours, &traceback);
    PyErr_NormalizeException(&type, &ours, &traceback);
    PyException_SetCause(ours, value);
    PyErr_Restore(type, ours, traceback);
}
