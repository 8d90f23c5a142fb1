/* Counters in objects, in which a page may differ when it goes back to its file.
 *
 * The interpreter writes counters wherever an object happens to lie:
 *
 *   - Python 3.11 counts the first calls of a function in its code object (co_warmup) before it specializes the code.
 *   - Before Python 3.12, names (interned strings), code objects and objects such as None have reference counts like any other
 *     object. The cache of attributes takes a reference to each name that it holds, and a dict to each of its keys.
 *
 * Resetting the first does no harm. Nor does resetting a reference count, once so many references have been added that it never
 * reaches zero: these objects are never freed.
 *
 * The addresses are recorded, never guessed. Before memory is parked, the objects are found: the code of all functions that the
 * collector tracks, the names in it, and the keys of all dicts. They live for the rest of the process, so their addresses stay
 * valid. */
#include "memory.h"

#if PY_VERSION_HEX < 0x030C0000

#include <sys/mman.h>

/* Further objects are not recorded, and the pages of their counters stay private to the process. */
#define MOST_OBJECTS ((size_t)1 << 18)
#define UNIT 16 /* bytes; pymalloc and malloc align to it */

/* References added to each object. A process holds far fewer, since each takes 8 bytes. A page is always reset to what its file
 * holds, so no count gets lower and lower. */
#define KEPT ((Py_ssize_t)1 << 60)

/* Recorded addresses are kept by blocks: two bytes for each, the units from the start of its block. */
#define BLOCK_BITS 20

struct block {
    uint32_t number; /* of the block in the address space */
    uint32_t first;  /* index of its first address */
};

/* In ascending order, outside the heap, which will be parked. */
struct addresses {
    const struct block *blocks;
    const uint16_t *units;
    size_t n_blocks, n;
};

static struct {
    struct addresses codes, names; /* names: also None and its like */
} recorded;

/* State of the search. */
struct search {
    PyObject **found;
    size_t n;
};

static bool begin_search(struct search *search)
{
    const size_t size = MOST_OBJECTS * sizeof(PyObject *);
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *search = (struct search){room == MAP_FAILED ? NULL : room, 0};
    return search->found != NULL;
}

static void end_search(struct search *search)
{
    if (search->found != NULL) munmap(search->found, MOST_OBJECTS * sizeof(PyObject *));
}

/* Keeps an object alive for ever. Returns whether it is found for the first time. */
static bool add(struct search *search, PyObject *object)
{
    if (Py_REFCNT(object) >= KEPT || search->n == MOST_OBJECTS) return false;
    Py_SET_REFCNT(object, Py_REFCNT(object) + KEPT);
    search->found[search->n++] = object;
    return true;
}

/* In place, since a block of malloc's for the sort would leave a hole in the heap. */
static void sort(PyObject **objects, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (size_t i = gap; i < n; i++) {
            PyObject *one = objects[i];
            size_t at = i;
            for (; at >= gap && (uintptr_t)objects[at - gap] > (uintptr_t)one; at -= gap) objects[at] = objects[at - gap];
            objects[at] = one;
        }
    }
}

static uint32_t block_of(uintptr_t address) { return (uint32_t)(address >> BLOCK_BITS); }

static uint16_t unit_of(uintptr_t address) { return (uint16_t)(address % (1 << BLOCK_BITS) / UNIT); }

/* Whether an address can be recorded. */
static bool is_recordable(uintptr_t address) { return address % UNIT == 0 && address >> BLOCK_BITS <= UINT32_MAX; }

/* Records the addresses of the objects found. */
static void record(struct search *search, struct addresses *addresses)
{
    size_t n = 0, n_blocks = 0;
    sort(search->found, search->n);
    for (size_t i = 0; i < search->n; i++) {
        if (!is_recordable((uintptr_t)search->found[i])) continue;
        search->found[n] = search->found[i];
        n_blocks += n == 0 || block_of((uintptr_t)search->found[n]) != block_of((uintptr_t)search->found[n - 1]);
        n++;
    }
    const size_t size = n_blocks * sizeof(struct block) + n * sizeof(uint16_t);
    void *room = n == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) return;
    struct block *blocks = room, *next = blocks;
    uint16_t *units = (uint16_t *)(blocks + n_blocks);
    for (size_t i = 0; i < n; i++) {
        const uintptr_t at = (uintptr_t)search->found[i];
        if (next == blocks || next[-1].number != block_of(at)) *next++ = (struct block){block_of(at), (uint32_t)i};
        units[i] = unit_of(at);
    }
    *addresses = (struct addresses){blocks, units, n_blocks, n};
}

/* ---- what is recorded ----------------------------------------------------------------------------------------- */

static void add_name(struct search *names, PyObject *object)
{
    if (object != NULL && PyUnicode_CheckExact(object) && PyUnicode_CHECK_INTERNED(object)) add(names, object);
}

static void add_names(struct search *names, PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) add_name(names, PyTuple_GET_ITEM(tuple, i));
}

static void add_code(struct search *codes, struct search *names, PyObject *object)
{
    if (!PyCode_Check(object) || !add(codes, object)) return;
    PyCodeObject *code = (PyCodeObject *)object;
    add_name(names, code->co_name);
    add_names(names, code->co_names);
#if PY_VERSION_HEX >= 0x030B0000
    add_names(names, code->co_localsplusnames);
#else
    add_names(names, code->co_varnames);
#endif
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        PyObject *constant = PyTuple_GET_ITEM(code->co_consts, i);
        add_name(names, constant);
        if (PyTuple_CheckExact(constant)) add_names(names, constant); /* the names of keyword arguments */
        add_code(codes, names, constant);
    }
}

static void add_keys(struct search *names, PyObject *dict)
{
    PyObject *key;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, NULL)) add_name(names, key);
}

/* Objects of which an interpreter has one each. */
static void add_singletons(struct search *names)
{
    PyObject *const singletons[] = {Py_None, Py_True, Py_False, Py_Ellipsis, Py_NotImplemented};
    for (size_t i = 0; i < sizeof singletons / sizeof *singletons; i++) add(names, singletons[i]);
}

PyObject *memory_record_counters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!parking_is_prepared() || recorded.codes.n != 0) Py_RETURN_NONE;
    struct search codes = {0}, names = {0};
    PyObject *collector = PyImport_ImportModule("gc");
    PyObject *objects = collector ? PyObject_CallMethod(collector, "get_objects", NULL) : NULL;
    Py_XDECREF(collector);
    if (objects == NULL || !PyList_Check(objects)) { /* costs only memory */
        Py_XDECREF(objects);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    if (begin_search(&codes) && begin_search(&names)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
            PyObject *object = PyList_GET_ITEM(objects, i);
            if (PyFunction_Check(object)) add_code(&codes, &names, PyFunction_GET_CODE(object));
            if (PyDict_CheckExact(object)) add_keys(&names, object);
        }
        add_singletons(&names);
        record(&codes, &recorded.codes);
        record(&names, &recorded.names);
    }
    end_search(&codes);
    end_search(&names);
    Py_DECREF(objects);
    Py_RETURN_NONE;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static bool is_recorded(const struct addresses *addresses, uintptr_t at)
{
    if (addresses->n == 0 || !is_recordable(at)) return false;
    size_t low = 0, high = addresses->n_blocks;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (addresses->blocks[middle].number < block_of(at)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == addresses->n_blocks || addresses->blocks[low].number != block_of(at)) return false;
    high = low + 1 < addresses->n_blocks ? addresses->blocks[low + 1].first : addresses->n;
    for (low = addresses->blocks[low].first; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (addresses->units[middle] == unit_of(at)) return true;
        if (addresses->units[middle] < unit_of(at)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

#if PY_VERSION_HEX >= 0x030B0000

/* Offset in a code object of the 8-byte word that holds the counter of calls, and the counter's bits in that word. */
#define WORD (offsetof(PyCodeObject, co_warmup) & ~(size_t)7)
#define BITS ((uint64_t)0xffff << 8 * (offsetof(PyCodeObject, co_warmup) - WORD))

/* A counter that reached 0 specialized the code, so that difference counts. */
static bool differ_in_calls(uintptr_t at, uint64_t now, uint64_t before)
{
    return ((now ^ before) & ~BITS) == 0 && (now & BITS) != 0 && is_recorded(&recorded.codes, at - WORD);
}

#else

static bool differ_in_calls(uintptr_t Py_UNUSED(at), uint64_t Py_UNUSED(now), uint64_t Py_UNUSED(before)) { return false; }

#endif

static bool is_kept(uint64_t count) { return count >= (uint64_t)KEPT / 2 && count < (uint64_t)KEPT * 2; }

static bool differ_in_references(uintptr_t at, uint64_t now, uint64_t before)
{
    _Static_assert(offsetof(PyObject, ob_refcnt) == 0 && sizeof(Py_ssize_t) == sizeof(uint64_t), "a word of its own");
    return is_kept(now) && is_kept(before) && (is_recorded(&recorded.names, at) || is_recorded(&recorded.codes, at));
}

bool differ_in_counter(uintptr_t at, uint64_t now, uint64_t before)
{
    return differ_in_references(at, now, before) || differ_in_calls(at, now, before);
}

#else

PyObject *memory_record_counters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) { Py_RETURN_NONE; }

bool differ_in_counter(uintptr_t Py_UNUSED(at), uint64_t Py_UNUSED(now), uint64_t Py_UNUSED(before)) { return false; }

#endif
