/* Counters in code objects, which may differ when a page goes back to its file.
 *
 * Python 3.11 counts the first calls of a function in its code object (co_warmup) before it specializes the code. So calling a
 * function on a parked or shared page changes only counters on that page, and resetting these does no harm.
 *
 * The addresses of the counters are recorded, never guessed. Before memory is parked, the code objects of all functions that
 * the collector tracks are found and kept alive for the rest of the process, so their addresses stay valid. */
#include "memory.h"

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>
#include <sys/mman.h>

/* Further objects are not recorded, and the pages of their counters stay private to the process. */
#define MOST_CODE_OBJECTS ((size_t)1 << 18)
#define UNIT 16 /* bytes; pymalloc and malloc align to it */

/* Offset in a code object of the 8-byte word that holds the counter, and the counter's bits in that word. */
#define WORD (offsetof(PyCodeObject, co_warmup) & ~(size_t)7)
#define BITS ((uint64_t)0xffff << 8 * (offsetof(PyCodeObject, co_warmup) - WORD))

/* Outside the heap, which will be parked: the code objects in ascending order, as offsets from the first, in units. */
static struct {
    uintptr_t first;
    const uint32_t *places;
    size_t n;
} recorded;

/* State of the search. Borrowed references: `found` is not used after a call that could drop one. */
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

/* Takes one reference to each object, and records its address. */
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
        if (place > UINT32_MAX || (uintptr_t)search->found[i] % UNIT != first % UNIT) continue; /* over 64 GiB away, or unaligned */
        Py_INCREF(search->found[i]);
        places[recorded.n++] = (uint32_t)place;
    }
    recorded.first = first;
    recorded.places = places;
}

/* Adds the code of each function in a list of objects. */
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
    if (objects == NULL || !PyList_Check(objects)) { /* costs only memory */
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

/* Whether a recorded code object begins at an address. */
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

/* A counter that reached 0 specialized the code, so that difference counts. */
bool differ_in_counter(uintptr_t at, uint64_t now, uint64_t before)
{
    return ((now ^ before) & ~BITS) == 0 && (now & BITS) != 0 && is_code(at - WORD);
}

#else

PyObject *memory_record_counters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) { Py_RETURN_NONE; }

bool differ_in_counter(uintptr_t Py_UNUSED(at), uint64_t Py_UNUSED(now), uint64_t Py_UNUSED(before)) { return false; }

#endif
