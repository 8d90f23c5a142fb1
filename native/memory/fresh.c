/* Before memory is parked or shared: what is written from then on lies together.
 *
 * One word written makes a page the process's own. Two habits of the interpreter scatter words:
 *
 *   - pymalloc lays new objects into the holes of its pools (Objects/obmalloc.c). Filled, there are none, and new objects come
 *     to lie side by side in pools of their own. What fills them is never freed: some 1 % of the heap.
 *   - the cache of attributes looked up on types (Objects/typeobject.c) holds a reference to each name, and drops that of the
 *     name it replaces. Empty, it has none to drop. */
#include "memory.h"

#define STEP 16 /* from a size of blocks to the next; bytes */

/* For one size: should the rule below ever fail, an end, and all is given back. Units: bytes. */
#define MOST_FILLED ((size_t)8 << 20)

/* Takes blocks of a size until a pool has given all it can hold, one after the other: it was free, and pymalloc begins a free
 * pool only when no other of that size has a hole. Its blocks are given back. */
static void fill_holes(size_t size)
{
    const size_t whole = (POOL - sizeof(struct pool_header)) / size;
    void **last = NULL; /* each holds the address of the one before */
    size_t of_pool = 0, taken = 0;
    for (; of_pool < whole && taken < MOST_FILLED / size; taken++) {
        void **block = PyObject_Malloc(size);
        if (block == NULL) break;
        of_pool = last != NULL && pool_of(block) == pool_of(last) ? of_pool + 1 : 1;
        *block = last;
        last = block;
    }
    for (size_t back = of_pool == whole ? whole : taken; back > 0; back--) {
        void **before = *last;
        PyObject_Free(last);
        last = before;
    }
}

/* start_fresh(): to be called once, when garbage is collected and before gc.freeze(). Does nothing where parking was not
 * prepared, as with another allocator than pymalloc. Returns None. */
PyObject *memory_start_fresh(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!parking_is_prepared()) Py_RETURN_NONE;
    PyType_ClearCache();
    for (size_t size = STEP; size <= LARGEST_SMALL; size += STEP) fill_holes(size);
    Py_RETURN_NONE;
}
