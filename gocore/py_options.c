/* The options of a core: what each is stands in Go; C passes names and values on. */
#include "py_options.h"

#include <string.h>

/* The index of the option of that name; -1 with an exception. Names are exactly of type str, so that no two are equal in their text. */
static int64_t find(PyObject *name, struct saltare_option *option)
{
    const bool plain = PyUnicode_CheckExact(name) && PyUnicode_IS_COMPACT_ASCII(name);
    for (uint32_t i = 0; plain && saltare_option(i, option) == 0; i++) {
        if (PyUnicode_GET_LENGTH(name) != (Py_ssize_t)option->name_len) continue;
        if (memcmp(PyUnicode_1BYTE_DATA(name), option->name, option->name_len) == 0) return i;
    }
    PyErr_Format(PyExc_TypeError, "Core has no option %R; saltare._core.options() has their names", name);
    return -1;
}

static int read_value(PyObject *name, PyObject *value, uint64_t most, uint64_t *number)
{
    if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError, "Core: the option %U must be an int, not %.100s", name, Py_TYPE(value)->tp_name);
        return -1;
    }
    *number = PyLong_AsUnsignedLongLong(value);
    if (!PyErr_Occurred() && *number <= most) return 0;
    PyErr_Clear();
    PyErr_Format(PyExc_OverflowError, "Core: the option %U must be from 0 to %llu, not %S", name, (unsigned long long)most, value);
    return -1;
}

static int read_setting(PyObject *name, PyObject *value, struct saltare_setting *setting)
{
    struct saltare_option option;
    int64_t index = find(name, &option);
    if (index < 0) return -1;
    setting->option = (uint32_t)index;
    return read_value(name, value, option.most, &setting->value);
}

int py_options_read(PyObject *given, struct saltare_setting *settings, uint32_t *n)
{
    PyObject *name, *value;
    *n = 0;
    for (Py_ssize_t at = 0; PyDict_Next(given, &at, &name, &value);) { /* only what ends it runs Python code */
        Py_INCREF(name);
        Py_INCREF(value);
        int status = read_setting(name, value, &settings[*n]);
        Py_DECREF(name);
        Py_DECREF(value);
        if (status < 0) return -1;
        ++*n;
    }
    return 0;
}

PyObject *py_options_units(void)
{
    PyObject *units = PyDict_New();
    struct saltare_option option;
    for (uint32_t i = 0; units != NULL && saltare_option(i, &option) == 0; i++) {
        PyObject *name = PyUnicode_FromStringAndSize(option.name, option.name_len);
        PyObject *unit = name ? PyUnicode_FromString(option.unit == UNIT_MILLISECONDS ? "ms" : "") : NULL;
        if (unit == NULL || PyDict_SetItem(units, name, unit) < 0) Py_CLEAR(units);
        Py_XDECREF(name);
        Py_XDECREF(unit);
    }
    return units;
}
