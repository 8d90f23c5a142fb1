/* asyncio's list of all tasks, at a lower price for those that end with their first step, before CPython 3.12.  per request
 *
 * The list, behind asyncio.all_tasks(), is a WeakSet written in Python: to enter a task and to drop it again is 5 % of a
 * small request. CPython 3.12 has a list of its own for eager tasks. Here, `add` of that one set is shadowed by a function
 * that does nothing while a thread makes a task of ours; what is in the list, a weak reference, is entered and taken out
 * again directly. A task that goes on after its first step is entered as any other. */
#include "py_bridge.h"

#if PY_VERSION_HEX < 0x030C0000

static _Thread_local bool leaving_out;

static PyObject *add(PyObject *original, PyObject *task)
{
    if (leaving_out) Py_RETURN_NONE;
    return PyObject_CallOneArg(original, task);
}

static PyMethodDef add_method = {"add", add, METH_O, "Enters a task, unless it is one of saltare's in its first step."};

static PyObject *all_tasks(void)
{
    PyObject *tasks = PyImport_ImportModule("asyncio.tasks");
    PyObject *list = tasks ? PyObject_GetAttrString(tasks, "_all_tasks") : NULL;
    Py_XDECREF(tasks);
    return list;
}

static bool is_ours(PyObject *method) { return PyCFunction_Check(method) && PyCFunction_GET_FUNCTION(method) == add; }

int py_tasklist_open(tasklist *self)
{
    PyObject *list = all_tasks();
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

void py_tasklist_leave_out(bool yes) { leaving_out = yes; }

PyObject *py_tasklist_enter(tasklist *self, PyObject *task)
{
    PyObject *reference = PyWeakref_NewRef(task, NULL);
    if (reference != NULL && PySet_Add(self->references, reference) < 0) Py_CLEAR(reference);
    return reference;
}

int py_tasklist_settle(tasklist *self, PyObject *task, PyObject *reference, bool goes_on)
{
    int status = PySet_Discard(self->references, reference);
    Py_DECREF(reference);
    if (status < 0 || !goes_on) return status < 0 ? -1 : 0;
    PyObject *result = PyObject_CallOneArg(self->add, task);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

#endif
