/* The options of a core. */
#include "py_options.h"

/* New reference to an option; NULL when it is not given, or with an exception. */
static PyObject *option(PyObject *given, const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    PyObject *value = key ? Py_XNewRef(PyDict_GetItemWithError(given, key)) : NULL;
    Py_XDECREF(key);
    return value;
}

struct number {
    const char *name;
    size_t size; /* of the field: 4 or 8 bytes */
    void *field;
};

static int read_number(PyObject *value, const struct number *number)
{
    unsigned long long n = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) return -1;
    if (number->size == sizeof(uint64_t)) {
        *(uint64_t *)number->field = n;
        return 0;
    }
    if (n > UINT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "%s: %llu is over 32 bits", number->name, n);
        return -1;
    }
    *(uint32_t *)number->field = (uint32_t)n;
    return 0;
}

#define NUMBER(name) {#name, sizeof config->name, &config->name}

int py_options_read(PyObject *given, struct saltare_config *config)
{
    const struct number numbers[] = {
        NUMBER(header_timeout), NUMBER(keep_alive_timeout), NUMBER(body_timeout), NUMBER(write_timeout),
        NUMBER(max_concurrent_connections), NUMBER(max_keepalive_requests), NUMBER(max_request_body),
        NUMBER(max_request_line), NUMBER(max_request_head), NUMBER(max_request_fields),
        NUMBER(date_header), NUMBER(guest), NUMBER(debug),
        NUMBER(ws_max_size), NUMBER(ws_keepalive_timeout), NUMBER(ws_per_message_deflate), NUMBER(ws_deflate_context),
        NUMBER(counters), NUMBER(slot), NUMBER(retire_requests), NUMBER(retire_rss),
    };
    Py_ssize_t known = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        PyObject *value = option(given, numbers[i].name);
        int status = value ? read_number(value, &numbers[i]) : PyErr_Occurred() ? -1 : 0;
        known += value != NULL;
        Py_XDECREF(value);
        if (status < 0) return -1;
    }
    if (known == PyDict_GET_SIZE(given)) return 0;
    PyErr_Format(PyExc_TypeError, "Core: of the options in %R one is unknown", given);
    return -1;
}

#undef NUMBER
