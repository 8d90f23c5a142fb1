/* asyncio's list of all tasks, at a lower cost for tasks that end with their first step, before CPython 3.12.
 *
 * The list, behind asyncio.all_tasks(), is a WeakSet written in Python: adding and removing a task takes 5 % of the time of a
 * small request. CPython 3.12 has a separate list for eager tasks. Here, `add` of that set is overridden by a function that
 * does nothing while a thread creates a task of ours; a weak reference is added to the set's data and removed directly. A task
 * that continues after its first step is added as any other. */
#include "py_tasklist.h"

#include <string.h>

bool py_tasklist_is_step(tasklist *self, PyObject *callback)
{
    PyTypeObject *type = Py_TYPE(callback);
    if (type == self->step_type) return true;
    const char *name = strrchr(type->tp_name, '.');
    if (strcmp(name ? name + 1 : type->tp_name, "TaskStepMethWrapper") != 0) return false;
    Py_XSETREF(self->step_type, (PyTypeObject *)Py_NewRef(type));
    return true;
}

#if PY_VERSION_HEX < 0x030C0000

/* Per thread: whether a task of ours is being created, and the last task left out. Allocations of its constructor may run a
 * finalizer that creates tasks. The last one is ours: a constructor adds its task after all its allocations. */
static _Thread_local bool leaving_out;
static _Thread_local PyObject *left_out;

static PyObject *add(PyObject *original, PyObject *task)
{
    if (!leaving_out) return PyObject_CallOneArg(original, task);
    PyObject *other = left_out;
    left_out = Py_NewRef(task);
    if (other == NULL) Py_RETURN_NONE;
    PyObject *result = PyObject_CallOneArg(original, other);
    Py_DECREF(other);
    return result;
}

static PyMethodDef add_method = {"add", add, METH_O, "Enters a task, unless it is one of saltare's in its first step."};

static PyObject *of_asyncio(const char *name)
{
    PyObject *tasks = PyImport_ImportModule("asyncio.tasks");
    PyObject *value = tasks ? PyObject_GetAttrString(tasks, name) : NULL;
    Py_XDECREF(tasks);
    return value;
}

PyObject *py_tasklist_current(void)
{
    PyObject *current = of_asyncio("_current_tasks");
    if (current == NULL || PyDict_Check(current)) return current;
    PyErr_Format(PyExc_TypeError, "asyncio.tasks._current_tasks is a %.100s instead of a dict", Py_TYPE(current)->tp_name);
    Py_DECREF(current);
    return NULL;
}

static bool is_ours(PyObject *method) { return PyCFunction_Check(method) && PyCFunction_GET_FUNCTION(method) == add; }

int py_tasklist_open(tasklist *self)
{
    PyObject *list = of_asyncio("_all_tasks");
    PyObject *method = list ? PyObject_GetAttrString(list, "add") : NULL;
    Py_XSETREF(self->references, list ? PyObject_GetAttrString(list, "data") : NULL);
    if (method != NULL && !is_ours(method)) {
        PyObject *ours = PyCFunction_New(&add_method, method);
        if (ours != NULL && PyObject_SetAttrString(list, "add", ours) < 0) Py_CLEAR(ours);
        Py_SETREF(method, ours);
    }
    Py_XDECREF(list);
    Py_XSETREF(self->add, method);
    return method && self->references ? 0 : -1;
}

void py_tasklist_leave_out(bool yes)
{
    leaving_out = yes;
    if (!yes) Py_CLEAR(left_out);
}

PyObject *py_tasklist_enter(tasklist *self, PyObject *task)
{
    PyObject *reference = PyWeakref_NewRef(task, NULL);
    if (reference != NULL && PySet_Add(self->references, reference) < 0) Py_CLEAR(reference);
    return reference;
}

int py_tasklist_end_step(tasklist *self, PyObject *task, PyObject *reference, bool goes_on)
{
    int status = PySet_Discard(self->references, reference);
    Py_DECREF(reference);
    if (status < 0 || !goes_on) return status < 0 ? -1 : 0;
    PyObject *result = PyObject_CallOneArg(self->add, task);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

#endif
