/* saltare._process: process titles, death with the parent, signal handlers, and programs that end with their parent.
 *
 * C only, because the master needs it and must not load Go. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the title ------------------------------------------------------------------------------------------------ */

struct area {
    char *start;
    size_t len;
};

/* The memory from which the kernel reads this process's arguments (proc(5): arg_start and arg_end of stat); len 0: unknown. */
static struct area arguments(void)
{
    struct area area = {NULL, 0};
    char line[2048];
    FILE *stat = fopen("/proc/self/stat", "re");
    if (stat == NULL) return area;
    size_t n = fread(line, 1, sizeof line - 1, stat);
    fclose(stat);
    line[n] = '\0';
    const char *field = strrchr(line, ')'); /* the end of field 2, which may contain any character */
    for (int number = 2; field != NULL && number < 48; number++) field = strchr(field + 1, ' ');
    unsigned long start, end;
    if (field == NULL || sscanf(field, "%lu %lu", &start, &end) != 2 || end <= start) return area;
    return (struct area){(char *)start, end - start};
}

/* set_title(name: str, arguments: str | None): sets the name that ps and top show, of which the kernel keeps 15 bytes, and the
 * command line that ps -f and htop show, cut to the size of the present one. Returns None. */
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
        memset(area.start + n, 0, area.len - n); /* the last byte must be NUL, else the kernel reads on into the environment */
    }
    Py_RETURN_NONE;
}

/* ---- the parent ----------------------------------------------------------------------------------------------- */

/* die_with_parent(): requests SIGKILL when the thread that forked this process ends. The caller must check for a parent that has
 * ended before. Returns None. */
static PyObject *process_die_with_parent(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* set_dumpable(): gives /proc/self to the user that the process has become (PR_SET_DUMPABLE of prctl(2)). Returns None. */
static PyObject *process_set_dumpable(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* ---- signals --------------------------------------------------------------------------------------------------- */

/* handler(number) -> the kernel's handler for a signal: 0 for the default action, 1 for ignore, else an address, the same for
 * all handlers set from Python. The signal module does not know handlers set by C. ValueError: no such signal. */
static PyObject *process_handler(PyObject *Py_UNUSED(module), PyObject *number)
{
    long value = PyLong_AsLong(number);
    if (value == -1 && PyErr_Occurred()) return NULL;
    struct sigaction action;
    if (value < 1 || value >= NSIG || sigaction((int)value, NULL, &action) < 0) {
        PyErr_Format(PyExc_ValueError, "unknown signal %ld", value);
        return NULL;
    }
    return PyLong_FromVoidPtr((void *)(uintptr_t)action.sa_handler);
}

/* ---- a program ------------------------------------------------------------------------------------------------- */

/* posix_spawn(3) has no prctl. fork(2) with Python code in the child fails too: a server has threads, and a process whose memory
 * is large or nearly exhausted cannot be copied. The child of vfork(2) runs in our memory until its exec, while we wait. */
struct program {
    const char *path, *folder; /* folder NULL: the current one */
    char **arguments, **environment;
    int output; /* becomes descriptor 1; -1 leaves that alone */
    pid_t parent;
};

/* An error of the child, written into our memory. */
struct failure {
    volatile int number;       /* errno; 0: the program runs */
    const char *volatile what; /* the file concerned */
};

/* Runs in the child, with all signals blocked: our handlers would run in the parent's memory. */
static void become(const struct program *program, struct failure *failure)
{
    sigset_t none;
    struct sigaction action;
    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_IGN) continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(number, &action, NULL);
    }
    failure->what = program->path;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) goto failed;
    if (getppid() != program->parent) _exit(127); /* the parent ended before the prctl */
    if (program->output >= 0 && dup2(program->output, STDOUT_FILENO) < 0) goto failed;
    if (program->folder != NULL && chdir(program->folder) < 0) {
        failure->what = program->folder;
        goto failed;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program->path, program->arguments, program->environment);
failed:
    failure->number = errno;
    _exit(127);
}

/* The child's pid, or -1 with failure filled in; what is NULL if there was no child. */
static pid_t start(const struct program *program, struct failure *failure)
{
    sigset_t all, before;
    sigfillset(&all);
    failure->number = 0;
    failure->what = NULL;
    if ((failure->number = pthread_sigmask(SIG_SETMASK, &all, &before)) != 0) return -1;
    pid_t pid = vfork();
    if (pid == 0) become(program, failure);
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        failure->number = number;
    } else if (failure->number != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        return -1;
    }
    return pid;
}

/* A tuple of bytes as a vector for execve(2). Owns: free the vector by PyMem_Free; the tuple owns the bytes. NULL with an
 * exception. */
static char **vector(PyObject *tuple)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    char **strings = PyMem_New(char *, (size_t)n + 1);
    if (strings == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    strings[n] = NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(tuple, i), &strings[i], NULL) < 0) { /* fails also for an embedded NUL */
            PyMem_Free(strings);
            return NULL;
        }
    }
    return strings;
}

/* spawn(path: bytes, arguments: (bytes, ...), environment: (b"NAME=VALUE", ...), folder: bytes | None, output: int) -> pid.
 * Starts a program that is killed when the calling thread ends, with default signal handling (ignored signals stay ignored),
 * in `folder`, with stdout at `output` unless that is -1. Waits until it runs.
 * Owns: the caller must wait for the child. Threads: any; holds the GIL meanwhile.
 * Returns its pid; OSError, with the name of the file concerned, if it does not run: then there is no child. */
static PyObject *process_spawn(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct program program = {.parent = getpid()};
    PyObject *arguments, *environment, *folder;
    char *name = NULL;
    if (!PyArg_ParseTuple(args, "yO!O!Oi:spawn", &program.path, &PyTuple_Type, &arguments, &PyTuple_Type, &environment,
                          &folder, &program.output)) {
        return NULL;
    }
    if (folder != Py_None && PyBytes_AsStringAndSize(folder, &name, NULL) < 0) return NULL;
    program.folder = name;
    if ((program.arguments = vector(arguments)) == NULL) return NULL;
    if ((program.environment = vector(environment)) == NULL) {
        PyMem_Free(program.arguments);
        return NULL;
    }
    struct failure failure;
    pid_t pid = start(&program, &failure);
    PyMem_Free(program.arguments);
    PyMem_Free(program.environment);
    if (pid >= 0) return PyLong_FromPid(pid);
    errno = failure.number;
    return failure.what == NULL ? PyErr_SetFromErrno(PyExc_OSError)
                                : PyErr_SetFromErrnoWithFilename(PyExc_OSError, failure.what);
}

static PyMethodDef process_methods[] = {
    {"set_title", process_set_title, METH_VARARGS,
     "set_title(name, arguments): what ps and top show of this process; arguments None leaves the command line alone."},
    {"die_with_parent", process_die_with_parent, METH_NOARGS, "die_with_parent(): SIGKILL when the parent ends."},
    {"set_dumpable", process_set_dumpable, METH_NOARGS, "set_dumpable(): /proc/self belongs to the present user."},
    {"handler", process_handler, METH_O,
     "handler(number): the address of what handles a signal, whoever set it; 0 is the default action, 1 is none."},
    {"spawn", process_spawn, METH_VARARGS,
     "spawn(path, arguments, environment, folder, output): starts a program that ends with us; returns its pid."},
    {NULL},
};

static PyModuleDef_Slot process_slots[] = {{0, NULL}};

static PyModuleDef process_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "saltare._process",
    .m_doc = "The process's name, its end when its parent ends, and programs that end with us.",
    .m_methods = process_methods,
    .m_slots = process_slots,
};

PyMODINIT_FUNC PyInit__process(void) { return PyModuleDef_Init(&process_def); }
