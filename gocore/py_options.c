/* The options of a core: Go defines them; C passes names and values on. */
#include "py_options.h"

static PyObject *name_of(const struct saltare_option *option) { return PyUnicode_FromStringAndSize(option->name, option->name_len); }

static int read_number(PyObject *name, PyObject *value, uint64_t most, uint64_t *number)
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

static int read_text(PyObject *name, PyObject *value, uint64_t most, struct saltare_setting *setting)
{
    if (!PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "Core: the option %U must be bytes, not %.100s", name, Py_TYPE(value)->tp_name);
        return -1;
    }
    setting->value = (uint64_t)PyBytes_GET_SIZE(value);
    setting->text = PyBytes_AS_STRING(value);
    if (setting->value <= most) return 0;
    PyErr_Format(PyExc_OverflowError, "Core: the option %U has %zd bytes; the limit is %llu", name, PyBytes_GET_SIZE(value), (unsigned long long)most);
    return -1;
}

static int read_value(PyObject *name, PyObject *value, const struct saltare_option *option, struct saltare_setting *setting)
{
    setting->text = NULL;
    return option->unit == UNIT_TEXT ? read_text(name, value, option->most, setting) : read_number(name, value, option->most, &setting->value);
}

/* 1: a value is given; 0: none; -1 with an exception. */
static int read_option(PyObject *given, const struct saltare_option *option, struct saltare_setting *setting)
{
    PyObject *name = name_of(option);
    PyObject *value = name ? Py_XNewRef(PyDict_GetItemWithError(given, name)) : NULL;
    int status = value ? read_value(name, value, option, setting) : PyErr_Occurred() ? -1 : 0;
    bool is_given = value != NULL;
    Py_XDECREF(name);
    Py_XDECREF(value);
    return status < 0 ? -1 : is_given;
}

/* Raises TypeError for the unknown names. */
static void refuse(PyObject *given)
{
    PyObject *known = py_options_units(), *names = known ? PyDict_Keys(given) : NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyList_GET_SIZE(names) && !PyErr_Occurred(); i++) {
        PyObject *name = Py_NewRef(PyList_GET_ITEM(names, i));
        if (PyDict_Contains(known, name) == 0) {
            PyErr_Format(PyExc_TypeError, "Core has no option %R; saltare._core.options() has their names", name);
        }
        Py_DECREF(name);
    }
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "Core: the options were changed while they were read");
    Py_XDECREF(known);
    Py_XDECREF(names);
}

int py_options_read(PyObject *given, struct saltare_setting *settings, uint32_t *n)
{
    struct saltare_option option;
    *n = 0;
    for (uint32_t i = 0; saltare_option(i, &option) == 0; i++) {
        settings[*n].option = i;
        int is_given = read_option(given, &option, &settings[*n]);
        if (is_given < 0) return -1;
        *n += (uint32_t)is_given;
    }
    if ((Py_ssize_t)*n == PyDict_GET_SIZE(given)) return 0;
    refuse(given);
    return -1;
}

PyObject *py_options_units(void)
{
    PyObject *units = PyDict_New();
    struct saltare_option option;
    for (uint32_t i = 0; units != NULL && saltare_option(i, &option) == 0; i++) {
        PyObject *name = name_of(&option);
        PyObject *unit = name ? PyUnicode_FromString(option.unit == UNIT_MILLISECONDS ? "ms" : option.unit == UNIT_TEXT ? "text" : "") : NULL;
        if (unit == NULL || PyDict_SetItem(units, name, unit) < 0) Py_CLEAR(units);
        Py_XDECREF(name);
        Py_XDECREF(unit);
    }
    return units;
}
