/* Preparation for parking and sharing, so that later writes touch few pages.
 *
 * Writing one word makes a page private to the process. The interpreter scatters writes in two ways:
 *
 *   - pymalloc puts new objects into the holes of its pools (Objects/obmalloc.c). Once the holes are filled, new objects lie
 *     side by side in new pools. The filling blocks are never freed: some 1 % of the heap.
 *   - the cache of attributes looked up on types (Objects/typeobject.c) holds a reference to each name, and drops the
 *     reference to a name it replaces. An empty cache has none to drop. */
#include "memory.h"

#define STEP 16 /* between block sizes; bytes */

/* Limit for one block size, if the rule below ever fails; all blocks are then freed. Units: bytes. */
#define MOST_FILLED ((size_t)8 << 20)

/* Allocates blocks of a size until one pool has supplied all its blocks in sequence. That pool was free, and pymalloc starts a
 * free pool only when no other pool of that size has a hole. Frees the blocks of that pool. */
static void fill_holes(size_t size)
{
    const size_t whole = (POOL - sizeof(struct pool_header)) / size;
    void **last = NULL; /* each block holds the address of the previous one */
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

/* start_fresh(): call it once, after garbage collection and before gc.freeze(). Does nothing if parking was not prepared, as
 * with an allocator other than pymalloc. Returns None. */
PyObject *memory_start_fresh(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!parking_is_prepared()) Py_RETURN_NONE;
    PyType_ClearCache();
    for (size_t size = STEP; size <= LARGEST_SMALL; size += STEP) fill_holes(size);
    Py_RETURN_NONE;
}
