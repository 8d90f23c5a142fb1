/* saltare._process: what only prctl(2) can do for a process: its name, and its end when its parent ends.  per process
 *
 * C alone, for the master needs it and must not load Go. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* ---- the title ------------------------------------------------------------------------------------------------ */

struct area {
    char *start;
    size_t len;
};

/* Where the kernel reads this process's arguments from (proc(5): arg_start and arg_end of stat); len 0 when it does not say. */
static struct area arguments(void)
{
    struct area area = {NULL, 0};
    char line[2048];
    FILE *stat = fopen("/proc/self/stat", "re");
    if (stat == NULL) return area;
    size_t n = fread(line, 1, sizeof line - 1, stat);
    fclose(stat);
    line[n] = '\0';
    const char *field = strrchr(line, ')'); /* the end of field 2, in which anything may stand */
    for (int number = 2; field != NULL && number < 48; number++) field = strchr(field + 1, ' ');
    unsigned long start, end;
    if (field == NULL || sscanf(field, "%lu %lu", &start, &end) != 2 || end <= start) return area;
    return (struct area){(char *)start, end - start};
}

/* set_title(name: str, arguments: str | None): the name that ps and top show, of which the kernel keeps 15 bytes; and the
 * command line that ps -f and htop show, as much of it as the present one has room for. Returns None. */
static PyObject *process_set_title(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name, *line;
    Py_ssize_t len;
    if (!PyArg_ParseTuple(args, "sz#:set_title", &name, &line, &len)) return NULL;
    if (prctl(PR_SET_NAME, name, 0, 0, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    if (line == NULL) Py_RETURN_NONE;
    struct area area = arguments();
    if (area.len > 0) {
        size_t n = (size_t)len < area.len - 1 ? (size_t)len : area.len - 1;
        memcpy(area.start, line, n);
        memset(area.start + n, 0, area.len - n); /* the last byte a NUL: else the kernel reads on in the environment */
    }
    Py_RETURN_NONE;
}

/* ---- the parent ----------------------------------------------------------------------------------------------- */

/* die_with_parent(): SIGKILL when the thread that forked this process ends. A parent that has ended before is the caller's to
 * notice. Returns None. */
static PyObject *process_die_with_parent(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef process_methods[] = {
    {"set_title", process_set_title, METH_VARARGS,
     "set_title(name, arguments): what ps and top show of this process; arguments None leaves the command line alone."},
    {"die_with_parent", process_die_with_parent, METH_NOARGS, "die_with_parent(): SIGKILL when the parent ends."},
    {NULL},
};

static PyModuleDef_Slot process_slots[] = {{0, NULL}};

static PyModuleDef process_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "saltare._process",
    .m_doc = "The process's name, and its end when its parent ends.",
    .m_methods = process_methods,
    .m_slots = process_slots,
};

PyMODINIT_FUNC PyInit__process(void) { return PyModuleDef_Init(&process_def); }
