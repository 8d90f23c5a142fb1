/* Counters in code objects, which may differ in a page that goes back to its file.
 *
 * Python 3.11 counts the first calls of a function in its code object (co_warmup) before it specializes the code. So to call a
 * function of a parked or shared page leaves that page different in nothing but counters, which may as well begin again.
 *
 * Where the counters are is recorded, never guessed: before memory is parked, the code objects of all functions that the
 * collector knows are found, and each is kept alive for the rest of the process, so that its address stays that of a counter. */
#include "memory.h"

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>
#include <sys/mman.h>

/* Objects beyond are not recorded, and the pages of their counters stay the process's own. */
#define MOST_CODE_OBJECTS ((size_t)1 << 18)
#define UNIT 16 /* bytes; pymalloc and malloc align to it */

/* The word of 8 bytes within a code object that holds the counter, and the counter's bits of it. */
#define WORD (offsetof(PyCodeObject, co_warmup) & ~(size_t)7)
#define BITS ((uint64_t)0xffff << 8 * (offsetof(PyCodeObject, co_warmup) - WORD))

/* Outside of the heap, which is about to be parked: the code objects in ascending order, in units from the first one on. */
static struct {
    uintptr_t first;
    const uint32_t *places;
    size_t n;
} recorded;

/* While they are looked for. Borrowed references; `found` outlives no call that could drop one. */
struct search {
    PyCodeObject **found;
    size_t n;
};

static void add_code(struct search *search, PyObject *object)
{
    if (!PyCode_Check(object) || search->n == MOST_CODE_OBJECTS) return;
    PyCodeObject *code = (PyCodeObject *)object;
    search->found[search->n++] = code;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) add_code(search, PyTuple_GET_ITEM(code->co_consts, i));
}

static int in_order(const void *one, const void *other)
{
    const uintptr_t a = (uintptr_t) * (PyCodeObject *const *)one, b = (uintptr_t) * (PyCodeObject *const *)other;
    return (a > b) - (a < b);
}

/* Takes a reference to each object, once, and records where they are. */
static void record(struct search *search)
{
    size_t n = 0;
    qsort(search->found, search->n, sizeof *search->found, in_order);
    for (size_t i = 0; i < search->n; i++) {
        if (i == 0 || search->found[i] != search->found[n - 1]) search->found[n++] = search->found[i];
    }
    uint32_t *places = n == 0 ? MAP_FAILED : mmap(NULL, n * sizeof *places, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (places == MAP_FAILED) return;
    const uintptr_t first = (uintptr_t)search->found[0];
    recorded.n = 0;
    for (size_t i = 0; i < n; i++) {
        const uintptr_t place = ((uintptr_t)search->found[i] - first) / UNIT;
        if (place > UINT32_MAX || (uintptr_t)search->found[i] % UNIT != first % UNIT) continue; /* 64 GiB away */
        Py_INCREF(search->found[i]);
        places[recorded.n++] = (uint32_t)place;
    }
    recorded.first = first;
    recorded.places = places;
}

/* Adds the code of each function in a list. */
static void search_functions(struct search *search, PyObject *objects)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        PyObject *object = PyList_GET_ITEM(objects, i);
        if (PyFunction_Check(object)) add_code(search, PyFunction_GET_CODE(object));
    }
}

PyObject *memory_record_counters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!parking_is_prepared() || recorded.places != NULL) Py_RETURN_NONE;
    const size_t size = MOST_CODE_OBJECTS * sizeof(PyCodeObject *);
    struct search search = {0};
    PyObject *collector = PyImport_ImportModule("gc");
    PyObject *objects = collector ? PyObject_CallMethod(collector, "get_objects", NULL) : NULL;
    Py_XDECREF(collector);
    if (objects == NULL || !PyList_Check(objects)) { /* some memory more, and no harm */
        Py_XDECREF(objects);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    search.found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (search.found != MAP_FAILED) {
        search_functions(&search, objects);
        record(&search);
        munmap(search.found, size);
    }
    Py_DECREF(objects);
    Py_RETURN_NONE;
}

/* Whether a code object begins at an address. */
static bool is_code(uintptr_t at)
{
    if (recorded.n == 0 || at < recorded.first || (at - recorded.first) % UNIT != 0) return false;
    const uintptr_t place = (at - recorded.first) / UNIT;
    size_t low = 0, high = recorded.n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (recorded.places[middle] < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < recorded.n && recorded.places[low] == place;
}

/* A counter at its end (0) has had the code specialized and stays. */
bool differ_in_counter(uintptr_t at, uint64_t now, uint64_t before)
{
    return ((now ^ before) & ~BITS) == 0 && (now & BITS) != 0 && is_code(at - WORD);
}

#else

PyObject *memory_record_counters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) { Py_RETURN_NONE; }

bool differ_in_counter(uintptr_t Py_UNUSED(at), uint64_t Py_UNUSED(now), uint64_t Py_UNUSED(before)) { return false; }

#endif
