/* Pages of arenas that are older than the recording.
 *
 * Python does not expose the addresses of its arenas. But a page with a small Python object is part of an arena if pymalloc
 * allocated the object, and it is not a constant of a library. */
#include "memory.h"

#include <link.h>
#include <unistd.h>

/* Bytes before an object: the words of the collector, of its dict and its weak references. */
#define MOST_BEFORE_OBJECT (4 * sizeof(void *))

#define NO_PAGE 0
#define FORGOTTEN 1

static uintptr_t page_of(const void *address) { return (uintptr_t)address & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1); }

static void add_page(struct early_pages *early, uintptr_t page)
{
    size_t at = (page >> 12) % EARLY_SLOTS;
    for (size_t tries = 0; tries < EARLY_SLOTS; tries++, at = (at + 1) % EARLY_SLOTS) {
        if (early->pages[at] == page) return;
        if (early->pages[at] != NO_PAGE) continue;
        early->pages[at] = page;
        return;
    }
}

void forget_early_pages(struct early_pages *early, struct range range)
{
    for (size_t i = 0; i < EARLY_SLOTS; i++) {
        if (range.start <= early->pages[i] && early->pages[i] < range.end) early->pages[i] = FORGOTTEN;
    }
}

size_t early_pages_outside(const struct early_pages *early, struct range outside, struct range *found)
{
    const uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t n = 0;
    for (size_t i = 0; i < EARLY_SLOTS; i++) {
        uintptr_t page = early->pages[i];
        if (page > FORGOTTEN && (page < outside.start || outside.end <= page)) found[n++] = (struct range){page, page + size};
    }
    return n;
}

/* ---- which objects -------------------------------------------------------------------------------------------- */

/* Upper bound of an object's allocated size. Unknown for ints: how they store their length depends on Python's version. */
static size_t most_bytes(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    size_t size = MOST_BEFORE_OBJECT + (size_t)type->tp_basicsize;
    if (PyLong_Check(object)) return SIZE_MAX;
    if (PyUnicode_Check(object)) return size + ((size_t)PyUnicode_GET_LENGTH(object) + 1) * PyUnicode_KIND(object);
    if (type->tp_itemsize != 0) size += (size_t)Py_ABS(Py_SIZE(object)) * (size_t)type->tp_itemsize;
    return size;
}

static void add_object(struct early_pages *early, PyObject *object)
{
    freefunc release = object == NULL ? NULL : Py_TYPE(object)->tp_free;
    if (release != PyObject_Free && release != PyObject_GC_Del) return;
    if (most_bytes(object) <= LARGEST_SMALL) add_page(early, page_of(object));
}

static void add_items(struct early_pages *early, PyObject *items)
{
    add_object(early, items);
    if (items == NULL || !PyTuple_CheckExact(items)) return;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) add_object(early, PyTuple_GET_ITEM(items, i));
}

static void add_dict(struct early_pages *early, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
        add_items(early, key);
        add_items(early, value);
    }
}

static int add_with_parts(PyObject *object, void *early)
{
    add_items(early, object);
    if (PyDict_CheckExact(object)) add_dict(early, object);
    if (PyCode_Check(object)) {
        PyCodeObject *code = (PyCodeObject *)object;
        add_items(early, code->co_names);
        add_items(early, code->co_consts);
        add_object(early, code->co_name);
    }
    return 0;
}

/* Removes pages of a library: its constants and static types lie in its own segments, not in arenas. */
static int forget_library(struct dl_phdr_info *object, size_t Py_UNUSED(size), void *early)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD) forget_early_pages(early, (struct range){page_of((void *)start), start + segment->p_memsz});
    }
    return 0;
}

int find_early_pages(struct early_pages *early)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *objects = gc ? PyObject_CallMethod(gc, "get_objects", NULL) : NULL;
    Py_XDECREF(gc);
    if (objects == NULL) return -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        PyObject *object = PyList_GET_ITEM(objects, i);
        add_with_parts(object, early);
        Py_TYPE(object)->tp_traverse(object, add_with_parts, early);
    }
    Py_DECREF(objects);
    dl_iterate_phdr(forget_library, early);
    return 0;
}
