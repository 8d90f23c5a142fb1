/* Tasks that end with their first step are left out of asyncio's list of all tasks, before CPython 3.12.  per request
 *
 * The list, behind asyncio.all_tasks(), is a WeakSet written in Python; entering a task and dropping it again are 5 % of
 * a small request. CPython 3.12 keeps eager tasks out of it until they first wait, and so do we: `add` of that one set is
 * shadowed by a function that does nothing while a thread is making a task of ours. A task that goes on is entered. */
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

PyObject *py_tasklist_shadow(void)
{
    PyObject *list = all_tasks();
    PyObject *method = list ? PyObject_GetAttrString(list, "add") : NULL;
    if (method != NULL && !is_ours(method)) {
        PyObject *ours = PyCFunction_New(&add_method, method);
        if (ours != NULL && PyObject_SetAttrString(list, "add", ours) < 0) Py_CLEAR(ours);
        Py_SETREF(method, ours);
    }
    Py_XDECREF(list);
    return method;
}

void py_tasklist_leave_out(bool yes) { leaving_out = yes; }

#else

PyObject *py_tasklist_shadow(void) { return Py_NewRef(Py_None); }

void py_tasklist_leave_out(bool yes) { (void)yes; }

#endif
