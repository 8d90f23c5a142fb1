/* Files that the app sends: a path is opened, a borrowed descriptor is duplicated. Go closes the resulting descriptor. */
#include "py_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "py_message.h"

void py_file_close(struct saltare_file *part)
{
    if (part->fd >= 0) close(part->fd);
    part->fd = -1;
}

/* The size of a regular file; -EINVAL for any other kind of file, else -errno. */
static int64_t size_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return -errno;
    return S_ISREG(st.st_mode) ? st.st_size : -EINVAL;
}

static int refuse_kind(module_state *st, const char *kind, PyObject *what)
{
    PyErr_Format(st->value_error, "%s: not a regular file: %R", kind, what);
    return -1;
}

int py_file_open(module_state *st, PyObject *message, const char *kind, struct saltare_file *part)
{
    PyObject *path = py_item(message, st->s_path), *name = NULL;
    if (path == NULL) {
        if (!PyErr_Occurred()) PyErr_Format(st->value_error, "%s: no path", kind);
        return -1;
    }
    int fd = -1, error = 0;
    int64_t size = 0;
    if (PyUnicode_FSConverter(path, &name)) {
        Py_BEGIN_ALLOW_THREADS /* O_NONBLOCK: a FIFO without a writer must not block */
        fd = open(PyBytes_AS_STRING(name), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        size = fd < 0 ? -errno : size_of(fd);
        Py_END_ALLOW_THREADS
        error = size < 0 ? (int)-size : 0;
    }
    if (name != NULL && error == EINVAL) {
        refuse_kind(st, kind, path);
    } else if (error != 0) {
        errno = error;
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    *part = (struct saltare_file){.len = size > 0 ? (uint64_t)size : 0, .fd = fd};
    Py_XDECREF(name);
    Py_DECREF(path);
    if (!PyErr_Occurred()) return 0;
    py_file_close(part);
    return -1;
}

/* Reads an item that counts bytes. Leaves *number unchanged if the item is missing or None. */
static int read_number(module_state *st, PyObject *message, PyObject *key, const char *kind, int64_t *number)
{
    PyObject *value = py_item(message, key);
    if (value == NULL || value == Py_None) {
        Py_XDECREF(value);
        return PyErr_Occurred() ? -1 : 0;
    }
    *number = PyLong_AsLongLong(value);
    if (*number < 0 && !PyErr_Occurred()) PyErr_Format(st->value_error, "%s: %U is negative: %R", kind, key, value);
    Py_DECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

/* Fills part with a duplicate of fd and the range to send. Returns 0 or an errno. */
static int place(int fd, int64_t offset, int64_t count, struct saltare_file *part)
{
    int64_t size = size_of(fd), from = offset >= 0 || size < 0 ? offset : lseek(fd, 0, SEEK_CUR);
    if (size < 0 || from < 0) return size < 0 ? (int)-size : errno;
    int64_t left = size > from ? size - from : 0, len = count < 0 || count > left ? left : count;
    *part = (struct saltare_file){.offset = (uint64_t)from, .len = (uint64_t)len, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    return part->fd < 0 ? errno : 0;
}

int py_file_seek(const struct saltare_file *part)
{
    if (lseek(part->fd, (off_t)(part->offset + part->len), SEEK_SET) >= 0) return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

int py_file_borrow(module_state *st, PyObject *message, const char *kind, struct saltare_file *part, bool *goes_on)
{
    int64_t offset = -1, count = -1;
    *part = (struct saltare_file){.fd = -1};
    if (read_number(st, message, st->s_offset, kind, &offset) < 0 || read_number(st, message, st->s_count, kind, &count) < 0) return -1;
    *goes_on = offset < 0;
    PyObject *file = py_item(message, st->s_file);
    if (file == NULL) {
        if (!PyErr_Occurred()) PyErr_Format(st->value_error, "%s: no file", kind);
        return -1;
    }
    int fd = PyObject_AsFileDescriptor(file);
    int error = fd < 0 ? 0 : place(fd, offset, count, part);
    if (error == EINVAL || error == ESPIPE) {
        refuse_kind(st, kind, file);
    } else if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_DECREF(file);
    return fd < 0 || error != 0 ? -1 : 0;
}
