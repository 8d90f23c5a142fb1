/* The core's access to saltare._memory, after a check of its version. */
#include "py_memory.h"

#include <string.h>

#define OTHER_BUILD "install saltare again, so that both are of one build"

const struct saltare_memory_api *py_memory_api(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, SALTARE_MEMORY_API)) {
        PyErr_Format(PyExc_TypeError, "release of a Core must be " SALTARE_MEMORY_API " or None, not %.100s", Py_TYPE(capsule)->tp_name);
        return NULL;
    }
    const struct saltare_memory_api *api = PyCapsule_GetPointer(capsule, SALTARE_MEMORY_API);
    if (api == NULL || api->version == SALTARE_MEMORY_API_VERSION) return api;
    PyErr_Format(PyExc_ImportError, SALTARE_MODULE " needs version %d of " SALTARE_MEMORY_API ", which has version %u: " OTHER_BUILD,
                 SALTARE_MEMORY_API_VERSION, api->version);
    return NULL;
}

int py_memory_check(void)
{
    PyObject *name = PyUnicode_FromString("saltare._memory");
    PyObject *module = name ? PyImport_GetModule(name) : NULL;
    Py_XDECREF(name);
    if (module == NULL) return PyErr_Occurred() ? -1 : 0;
    PyObject *capsule = PyObject_GetAttrString(module, strrchr(SALTARE_MEMORY_API, '.') + 1);
    Py_DECREF(module);
    if (capsule == NULL && !PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
    int status = -1;
    if (capsule == NULL || !PyCapsule_IsValid(capsule, SALTARE_MEMORY_API)) {
        PyErr_SetString(PyExc_ImportError, SALTARE_MODULE " needs " SALTARE_MEMORY_API ", which is missing: " OTHER_BUILD);
    } else {
        status = py_memory_api(capsule) ? 0 : -1;
    }
    Py_XDECREF(capsule);
    return status;
}
