/* Header fields from the app: checked, and written in the format of a command. */
#include "py_headers.h"

#include <string.h>

/* Octets allowed in a field's name (RFC 9110 5.6.2: tchar) and in its value (5.5: no controls except HTAB). */
enum { IN_VALUE = 1, IN_NAME = 2, IN_BOTH = 3 };

static const uint8_t octets_of[256] = {
    ['\t'] = IN_VALUE,        [' '] = IN_VALUE,         ['!'] = IN_BOTH,  ['"'] = IN_VALUE,         ['#'... '\''] = IN_BOTH,
    ['('... ')'] = IN_VALUE,  ['*'... '+'] = IN_BOTH,   [','] = IN_VALUE, ['-'... '.'] = IN_BOTH,   ['/'] = IN_VALUE,
    ['0'... '9'] = IN_BOTH,   [':'... '@'] = IN_VALUE,  ['A'... 'Z'] = IN_BOTH, ['['... ']'] = IN_VALUE, ['^'... 'z'] = IN_BOTH,
    ['{'] = IN_VALUE,         ['|'] = IN_BOTH,          ['}'] = IN_VALUE, ['~'] = IN_BOTH,          [0x80 ... 0xff] = IN_VALUE,
};

/* A content-length with more digits is rejected. */
#define LENGTH_DIGITS 18
#define CONTENT_LENGTH "content-length"

/* Checks a header's name or value: bytes of allowed octets. The exception contains the object's repr, which may change the app's
 * list of headers, so the object is held meanwhile. */
static int check_octets(const headers *self, module_state *st, PyObject *octets, const char *what, uint8_t allowed)
{
    if (!PyBytes_Check(octets)) {
        Py_INCREF(octets);
        PyErr_Format(st->type_error, "%s: header %s must be bytes, not %.100s: %R", self->kind, what, Py_TYPE(octets)->tp_name, octets);
        Py_DECREF(octets);
        return -1;
    }
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(octets), *end = p + PyBytes_GET_SIZE(octets);
    while (p < end && octets_of[*p] & allowed) p++;
    if (p == end) return 0;
    Py_INCREF(octets);
    PyErr_Format(st->value_error, "%s: header %s has an octet that is not allowed (0x%02x): %R", self->kind, what, *p, octets);
    Py_DECREF(octets);
    return -1;
}

static bool names_length(PyObject *name)
{
    const char *p = PyBytes_AS_STRING(name), *want = CONTENT_LENGTH;
    if (PyBytes_GET_SIZE(name) != sizeof CONTENT_LENGTH - 1) return false;
    while (*want && (*p | 0x20) == *want) p++, want++; /* '-' has that bit, and no other octet of a token becomes '-' */
    return *want == 0;
}

/* Records the content-length that the app declares (RFC 9110 8.6). */
static int read_length(headers *self, module_state *st, PyObject *value)
{
    const char *p = PyBytes_AS_STRING(value), *end = p + PyBytes_GET_SIZE(value);
    int64_t length = 0;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    while (p < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
    bool good = p < end && end - p <= LENGTH_DIGITS && self->content_length < 0;
    for (; good && p < end; p++) {
        good = *p >= '0' && *p <= '9';
        length = length * 10 + (*p - '0');
    }
    if (good) {
        self->content_length = length;
        return 0;
    }
    Py_INCREF(value);
    PyErr_Format(st->value_error, self->content_length < 0 ? "%s: content-length is not a number of octets: %R" : "%s: content-length is given twice: %R",
                 self->kind, value);
    Py_DECREF(value);
    return -1;
}

static bool is_pair(PyObject *item) { return PyTuple_Check(item) || PyList_Check(item); }

/* Checks a header and adds its size to the payload's. It was a tuple or list when read, but the app may have changed its list. */
static int check_header(headers *self, module_state *st, PyObject *pair)
{
    if (!is_pair(pair)) {
        PyErr_Format(st->type_error, "%s: the headers were changed while they were read: %.100s among them is no pair", self->kind,
                     Py_TYPE(pair)->tp_name);
        return -1;
    }
    if (PySequence_Fast_GET_SIZE(pair) != 2) {
        PyErr_Format(st->value_error, "%s: a header has %zd items instead of name and value", self->kind, PySequence_Fast_GET_SIZE(pair));
        return -1;
    }
    PyObject *name = PySequence_Fast_GET_ITEM(pair, 0), *value = PySequence_Fast_GET_ITEM(pair, 1);
    if (check_octets(self, st, name, "name", IN_NAME) < 0 || check_octets(self, st, value, "value", IN_VALUE) < 0) return -1;
    if (PyBytes_GET_SIZE(name) == 0 || PyBytes_GET_SIZE(name) > INT32_MAX || PyBytes_GET_SIZE(value) > INT32_MAX) {
        PyErr_Format(st->value_error, "%s: a header has an empty name, or is over 2 GiB", self->kind);
        return -1;
    }
    self->size += 2 * sizeof(uint32_t) + (size_t)PyBytes_GET_SIZE(name) + (size_t)PyBytes_GET_SIZE(value);
    return names_length(name) ? read_length(self, st, value) : 0;
}

/* New reference to the headers as a list or tuple of lists or tuples, which can be read without running Python code. */
static PyObject *pairs_of(module_state *st, PyObject *given, const char *kind)
{
    if (!PyList_Check(given) && !PyTuple_Check(given) && Py_TYPE(given)->tp_iter == NULL && !PySequence_Check(given)) {
        PyErr_Format(st->type_error, "%s: headers must be an iterable of pairs of bytes, not %.100s", kind, Py_TYPE(given)->tp_name);
        return NULL;
    }
    PyObject *items = PySequence_Fast(given, "headers must be an iterable of pairs of bytes");
    Py_ssize_t plain = 0;
    while (items != NULL && plain < PySequence_Fast_GET_SIZE(items) && is_pair(PySequence_Fast_GET_ITEM(items, plain))) plain++;
    if (items == NULL || plain == PySequence_Fast_GET_SIZE(items)) return items;
    PyObject *pairs = PySequence_Tuple(items);
    Py_DECREF(items);
    PyObject *result = pairs ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; result != NULL && i < PyTuple_GET_SIZE(pairs); i++) {
        PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(pairs, i));
        if (pair == NULL || PyList_Append(result, pair) < 0) Py_CLEAR(result);
        Py_XDECREF(pair);
    }
    Py_XDECREF(pairs);
    return result;
}

int py_headers_read(headers *self, module_state *st, PyObject *given, const char *kind)
{
    *self = (headers){.kind = kind, .content_length = -1};
    if (given == NULL || given == Py_None) return 0;
    self->pairs = pairs_of(st, given, kind);
    return self->pairs ? 0 : -1;
}

int py_headers_check(headers *self, module_state *st)
{
    Py_ssize_t n = self->pairs ? PySequence_Fast_GET_SIZE(self->pairs) : 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (check_header(self, st, PySequence_Fast_GET_ITEM(self->pairs, i)) < 0) return -1;
    }
    return 0;
}

void py_headers_put(const headers *self, uint8_t *at)
{
    Py_ssize_t n = self->pairs ? PySequence_Fast_GET_SIZE(self->pairs) : 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(self->pairs, i);
        PyObject *name = PySequence_Fast_GET_ITEM(pair, 0), *value = PySequence_Fast_GET_ITEM(pair, 1);
        uint32_t sizes[2] = {(uint32_t)PyBytes_GET_SIZE(name), (uint32_t)PyBytes_GET_SIZE(value)};
        memcpy(at, sizes, sizeof sizes);
        memcpy(at + sizeof sizes, PyBytes_AS_STRING(name), sizes[0]);
        memcpy(at + sizeof sizes + sizes[0], PyBytes_AS_STRING(value), sizes[1]);
        at += sizeof sizes + sizes[0] + sizes[1];
    }
}

void py_headers_free(headers *self) { Py_CLEAR(self->pairs); }
