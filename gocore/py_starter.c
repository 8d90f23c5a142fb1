/* type Starter: creates a task for each request, and runs the app's first step at once.
 *
 * Most apps respond without waiting. Scheduling a task for later costs a handle, an entry in the loop's queue and a second
 * iteration of the loop: 15 % of the cost of a small request. CPython 3.12 has eager tasks. Before 3.12 the first step is
 * intercepted: a new Task schedules itself with call_soon of its loop; the Starter takes that call and runs it when the task is
 * complete. In both cases the step runs in the task's context, as the current task.
 *
 * The loop runs the first step itself in debug mode, where it reports steps that block it; before 3.12, if asyncio.Task was
 * replaced by a Python class; for a request dispatched by a loop that runs within a step of the app (nest_asyncio), or by a
 * loop not ours that may run so; and with a task factory. */
#include "py_starter.h"

#include <structmember.h>

#include "py_hook.h"
#include "py_run.h"
#include "py_tasklist.h"

struct starter {
    run_owner owner; /* first */
    PyObject *loop;
    PyObject *tasks;      /* exchange -> task, for tasks that have not ended */
    PyObject *on_idle;
    PyObject *collect; /* called every collect_every requests */
    unsigned int collect_every, since_collect;
    PyObject *task_type, *task_names, *name, *get_task_factory, *get_debug, *create_task;
    tasklist list;            /* of asyncio, when intercepting */
    PyObject *current_tasks;  /* asyncio's dict of current tasks by loop, when intercepting */
    PyObject *loop_call_soon; /* the loop's own, when ours replaces it */
    PyObject *step, *context; /* of the task under construction */
    char intercepting, attached;
    char ours; /* the loop is ours: the core is its selector */
};

static int check_ready(starter *self)
{
    if (self->owner.state != NULL) return 0;
    PyErr_SetString(PyExc_RuntimeError, "the Starter is not initialised");
    return -1;
}

/* ---- the first step, before 3.12 ------------------------------------------------------------------------------- */

static PyObject *pass_on(starter *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *call_soon = Py_XNewRef(self->loop_call_soon);
    if (call_soon == NULL && check_ready(self) == 0) PyErr_SetString(PyExc_RuntimeError, "the Starter was collected as garbage");
    PyObject *result = call_soon ? PyObject_Vectorcall(call_soon, args, (size_t)n, names) : NULL;
    Py_XDECREF(call_soon);
    return result;
}

/* Takes call_soon(step, context=context) of a Task under construction; passes any other call on to the loop. Allocations of
 * the constructor may run a finalizer that creates other tasks: the last step is ours, earlier ones go to the loop. */
static PyObject *starter_call_soon(starter *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    if (!self->intercepting || n != 1 || names == NULL || PyTuple_GET_SIZE(names) != 1 || !py_tasklist_is_step(&self->list, args[0])) return pass_on(self, args, n, names);
    PyObject *others[] = {self->step, self->context};
    self->step = Py_NewRef(args[0]);
    self->context = Py_NewRef(args[1]);
    PyObject *result = others[0] ? pass_on(self, others, 1, names) : Py_NewRef(Py_None);
    Py_XDECREF(others[0]);
    Py_XDECREF(others[1]);
    return result;
}

/* ---- tasks ---------------------------------------------------------------------------------------------------- */

/* Task(run, loop=loop, name="request"[, eager_start=at_once]). */
static PyObject *make_task(starter *self, PyObject *coroutine, bool at_once)
{
    PyObject *args[] = {coroutine, self->loop, self->name, at_once ? Py_True : Py_False};
    return PyObject_Vectorcall(self->task_type, args, 1, self->task_names);
}

#if PY_VERSION_HEX >= 0x030C0000

/* Whether a loop that is not ours may run within a step (nest_asyncio marks such loops). The callback that runs the core's turn
 * cannot run within itself, so with such a loop it must not run a step of the app. */
static bool may_nest(starter *self) { return !self->ours && PyObject_HasAttr(self->loop, self->owner.state->s_nest_patched); }

static PyObject *plain_task(starter *self, run *coroutine, bool at_once)
{
    return make_task(self, (PyObject *)coroutine, at_once && !may_nest(self));
}

#else

static int run_step(starter *self)
{
    PyObject *step = self->step, *context = self->context, *result = NULL;
    self->step = self->context = NULL;
    if (step == NULL) return 0; /* the loop runs it */
    if (PyContext_CheckExact(context) && PyContext_Enter(context) == 0) {
        result = PyObject_CallNoArgs(step);
        if (PyContext_Exit(context) < 0) Py_CLEAR(result);
    }
    if (result == NULL && !PyErr_Occurred()) PyErr_SetString(PyExc_SystemError, "a task without a context");
    Py_DECREF(step);
    Py_DECREF(context);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The first step of a task whose call_soon was intercepted; the task is in asyncio's list of tasks meanwhile. */
static int first_step(starter *self, PyObject *task, run *coroutine)
{
    PyObject *reference = py_tasklist_enter(&self->list, task), *type, *value, *traceback;
    if (reference == NULL) return -1;
    int status = run_step(self);
    PyErr_Fetch(&type, &value, &traceback);
    if (py_tasklist_end_step(&self->list, task, reference, !py_run_over(coroutine)) < 0) PyErr_WriteUnraisable(task);
    PyErr_Restore(type, value, traceback);
    return status;
}

/* Whether the loop has a current task. If so, a loop within that task's step called us, and no other task can step. */
static bool has_current(starter *self)
{
    PyObject *current = self->current_tasks;
    return PyDict_GET_SIZE(current) > 0 && PyDict_GetItemWithError(current, self->loop) != NULL;
}

static PyObject *plain_task(starter *self, run *coroutine, bool at_once)
{
    bool ours = at_once && self->loop_call_soon != NULL && !has_current(self);
    if (PyErr_Occurred()) return NULL;
    self->intercepting = ours;
    py_tasklist_leave_out(ours);
    PyObject *task = make_task(self, (PyObject *)coroutine, ours);
    py_tasklist_leave_out(false);
    self->intercepting = 0;
    if (task != NULL && ours && first_step(self, task, coroutine) < 0) Py_CLEAR(task);
    Py_CLEAR(self->step);
    Py_CLEAR(self->context);
    return task;
}

#endif

/* Whether a property of the loop is that object: its attribute (undocumented) if asyncio's loop has it, which is three times as
 * fast as the method. -1 with an exception. */
static int has(starter *self, PyObject *attribute, PyObject *method, PyObject *object)
{
    PyObject *value = self->ours ? PyObject_GetAttr(self->loop, attribute) : NULL;
    if (value == NULL) {
        PyErr_Clear();
        value = PyObject_CallNoArgs(method);
    }
    Py_XDECREF(value);
    return value ? value == object : -1;
}

/* In debug mode the loop runs every step, so that it reports those that block. */
static PyObject *new_task(starter *self, run *coroutine, bool at_once)
{
    module_state *st = self->owner.state;
    int plain = has(self, st->s_task_factory, self->get_task_factory, Py_None);
    int quiet = plain < 0 ? -1 : has(self, st->s_debug, self->get_debug, Py_False);
    if (quiet < 0) return NULL;
    return plain ? plain_task(self, coroutine, at_once && quiet) : PyObject_CallOneArg(self->create_task, (PyObject *)coroutine);
}

/* starter(exchange, scope): the value of Core.dispatch. */
static PyObject *starter_call(starter *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    exchange *ex;
    PyObject *scope;
    if (check_ready(self) < 0 || !PyArg_ParseTuple(args, "OO:Starter", &ex, &scope)) return NULL;
    if (!Py_IS_TYPE(ex, self->owner.state->exchange_type) && !Py_IS_TYPE(ex, self->owner.state->websocket_type)) {
        PyErr_Format(PyExc_TypeError, "Starter() takes an Exchange or a WebSocket, not %.100s", Py_TYPE(ex)->tp_name);
        return NULL;
    }
    return py_starter_start(self, ex, scope, true) < 0 ? NULL : Py_NewRef(Py_None);
}

int py_starter_start(starter *self, exchange *ex, PyObject *scope, bool at_once)
{
    run *coroutine = check_ready(self) < 0 ? NULL : py_run_new(&self->owner, ex, scope);
    if (coroutine == NULL) return -1;
    PyObject *task = new_task(self, coroutine, at_once);
    int status = task == NULL ? -1 : py_run_over(coroutine) ? 0 : PyDict_SetItem(self->tasks, (PyObject *)ex, task);
    Py_XDECREF(task);
    Py_DECREF(coroutine);
    return status;
}

static int collect_in_turn(starter *self)
{
    if (self->collect_every == 0 || ++self->since_collect < self->collect_every) return 0;
    self->since_collect = 0;
    return py_call_if_set(self->collect, "collect");
}

int py_starter_ended(run_owner *owner, exchange *ex)
{
    starter *self = (starter *)owner;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    int status = PyDict_Contains(self->tasks, (PyObject *)ex);
    if (status > 0) status = PyDict_DelItem(self->tasks, (PyObject *)ex);
    if (status == 0 && PyDict_GET_SIZE(self->tasks) == 0) status = py_call_if_set(self->on_idle, "on_idle");
    if (status == 0) status = collect_in_turn(self);
    if (type == NULL) return status;
    if (status < 0) PyErr_WriteUnraisable((PyObject *)self);
    PyErr_Restore(type, value, traceback);
    return 0;
}

int py_starter_cancel(starter *self, exchange *ex)
{
    PyObject *task = self->tasks ? Py_XNewRef(PyDict_GetItemWithError(self->tasks, (PyObject *)ex)) : NULL;
    if (task == NULL) return PyErr_Occurred() ? -1 : 0;
    PyObject *result = PyObject_CallMethod(task, "cancel", NULL);
    Py_DECREF(task);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

uint64_t py_starter_tasks(PyObject *object)
{
    starter *self = (starter *)object;
    return self->tasks != NULL ? (uint64_t)PyDict_GET_SIZE(self->tasks) : 0;
}

/* A dict keeps its largest size until it is cleared. */
void py_starter_shrink(starter *self)
{
    if (self->tasks != NULL && PyDict_GET_SIZE(self->tasks) == 0) PyDict_Clear(self->tasks);
}

/* ---- the type ------------------------------------------------------------------------------------------------- */

static PyObject *task_argument_names(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return Py_BuildValue("(sss)", "loop", "name", "eager_start");
#else
    return Py_BuildValue("(ss)", "loop", "name");
#endif
}

/* Without eager tasks, we override call_soon of our own loop. */
#if PY_VERSION_HEX >= 0x030C0000

static int intercept(starter *Py_UNUSED(self), int Py_UNUSED(ours)) { return 0; }

#else

static int intercept(starter *self, int ours)
{
    if (!ours) return 0;
    Py_XSETREF(self->loop_call_soon, PyObject_GetAttrString(self->loop, "call_soon"));
    Py_XSETREF(self->current_tasks, py_tasklist_current());
    if (self->loop_call_soon == NULL || self->current_tasks == NULL || py_tasklist_open(&self->list) < 0) return -1;
    PyObject *method = PyObject_GetAttrString((PyObject *)self, "_call_soon");
    int status = method ? PyObject_SetAttrString(self->loop, "call_soon", method) : -1;
    self->attached = status == 0;
    Py_XDECREF(method);
    return status;
}

#endif

static int starter_init(starter *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"app", "loop", "ours", "failed", "incomplete", NULL};
    PyObject *app, *loop, *failed, *incomplete;
    int ours;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOpOO:Starter", names, &app, &loop, &ours, &failed, &incomplete)) return -1;
    if (self->owner.state != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a Starter is initialised once");
        return -1;
    }
    PyObject *asyncio = PyImport_ImportModule("asyncio");
    if (asyncio == NULL) return -1;
    Py_XSETREF(self->task_type, PyObject_GetAttrString(asyncio, "Task"));
    Py_DECREF(asyncio);
    Py_XSETREF(self->owner.app, Py_NewRef(app));
    Py_XSETREF(self->loop, Py_NewRef(loop));
    Py_XSETREF(self->owner.failed, Py_NewRef(failed));
    Py_XSETREF(self->owner.incomplete, Py_NewRef(incomplete));
    Py_XSETREF(self->tasks, PyDict_New());
    Py_XSETREF(self->name, PyUnicode_InternFromString("request"));
    Py_XSETREF(self->task_names, task_argument_names());
    Py_XSETREF(self->get_task_factory, PyObject_GetAttrString(loop, "get_task_factory"));
    Py_XSETREF(self->get_debug, PyObject_GetAttrString(loop, "get_debug"));
    Py_XSETREF(self->create_task, PyObject_GetAttrString(loop, "create_task"));
    if (!self->task_type || !self->tasks || !self->name || !self->task_names || !self->get_task_factory || !self->get_debug || !self->create_task) return -1;
    self->ours = ours != 0;
    if (intercept(self, ours) < 0) return -1;
    self->owner.state = py_state(Py_TYPE(self));
    return self->owner.state ? 0 : -1;
}

/* detach(): restores the loop's own call_soon; references to ours remain callable. */
static PyObject *starter_detach(starter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->attached) {
        self->attached = 0;
        if (PyObject_SetAttrString(self->loop, "call_soon", NULL) < 0) return NULL;
    }
    Py_RETURN_NONE;
}

static int starter_traverse(starter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner.app);
    Py_VISIT(self->loop);
    Py_VISIT(self->owner.failed);
    Py_VISIT(self->owner.incomplete);
    Py_VISIT(self->tasks);
    Py_VISIT(self->on_idle);
    Py_VISIT(self->collect);
    Py_VISIT(self->task_type);
    Py_VISIT(self->get_task_factory);
    Py_VISIT(self->get_debug);
    Py_VISIT(self->current_tasks);
    Py_VISIT(self->create_task);
    Py_VISIT(self->list.add);
    Py_VISIT(self->list.references);
    Py_VISIT(self->loop_call_soon);
    Py_VISIT(self->list.step_type);
    Py_VISIT(self->step);
    Py_VISIT(self->context);
    return 0;
}

static int starter_clear(starter *self)
{
    Py_CLEAR(self->owner.app);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->owner.failed);
    Py_CLEAR(self->owner.incomplete);
    Py_CLEAR(self->tasks);
    Py_CLEAR(self->on_idle);
    Py_CLEAR(self->collect);
    Py_CLEAR(self->task_type);
    Py_CLEAR(self->get_task_factory);
    Py_CLEAR(self->get_debug);
    Py_CLEAR(self->current_tasks);
    Py_CLEAR(self->create_task);
    Py_CLEAR(self->list.add);
    Py_CLEAR(self->list.references);
    Py_CLEAR(self->loop_call_soon);
    Py_CLEAR(self->list.step_type);
    Py_CLEAR(self->step);
    Py_CLEAR(self->context);
    return 0;
}

static void starter_dealloc(starter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    starter_clear(self);
    Py_CLEAR(self->name);
    Py_CLEAR(self->task_names);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef starter_methods[] = {
    {"_call_soon", (PyCFunction)(void (*)(void))starter_call_soon, METH_FASTCALL | METH_KEYWORDS, "call_soon of the loop, seen by us first."},
    {"detach", (PyCFunction)starter_detach, METH_NOARGS, "detach(): the loop has its own call_soon again."},
    {NULL},
};

static PyMemberDef starter_members[] = {
    {"tasks", T_OBJECT, offsetof(starter, tasks), READONLY, "dict: the tasks that have not ended, by exchange."},
    {"on_idle", T_OBJECT, offsetof(starter, on_idle), 0, "Called when the last task has ended."},
    {"collect", T_OBJECT, offsetof(starter, collect), 0, "Called every collect_every requests."},
    {"collect_every", T_UINT, offsetof(starter, collect_every), 0, "0: never."},
    {NULL},
};

static PyType_Slot starter_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, starter_init},
    {Py_tp_call, starter_call},
    {Py_tp_methods, starter_methods},
    {Py_tp_members, starter_members},
    {Py_tp_traverse, starter_traverse},
    {Py_tp_clear, starter_clear},
    {Py_tp_dealloc, starter_dealloc},
    {0, NULL},
};

PyType_Spec py_starter_spec = {
    .name = SALTARE_MODULE ".Starter",
    .basicsize = sizeof(starter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = starter_slots,
};
