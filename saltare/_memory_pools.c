/* After a burst: what is free within pymalloc's arenas goes back to the system.  per process
 *
 * pymalloc (Objects/obmalloc.c) gives an arena of 1 MiB back when nothing at all lies in it, and keeps one such arena; of its
 * other arenas, free pools stay as they were written. So all free pools are taken, by blocks of the largest size, until pymalloc
 * needs a new arena, and are given back, the last first. Then the new arena is the one that is kept, hardly touched, and empty
 * ones before it go. Of every other pool the pages behind the header are dropped: in a free pool they hold nothing but a list
 * of free blocks, for the case that the same size is wanted again, and a pool of no size has none.
 *
 * It is done only when there were new arenas since, and given up when it gets to pools that were never written to, which would
 * cost a page each. */
#include "_memory.h"

#include <sys/mman.h>

/* Of pymalloc, as in obmalloc.c. */
struct pool_header {
    uint32_t n_used, padding; /* blocks */
    void *free_block;
    struct pool_header *next, *previous;
    uint32_t arena, size_index, next_offset, most_offset;
};

#define LARGEST 512
#define LARGEST_INDEX (LARGEST / 16 - 1)
#define WHOLE ((POOL - sizeof(struct pool_header)) / LARGEST)
#define NO_INDEX 0xffff /* of a pool whose blocks have no size yet: DUMMY_SIZE_IDX */

/* At once, 64 MiB of pools: some 20 ms. Units: blocks. */
#define MOST_TAKEN (4096 * WHOLE)

#define MOST_UNTOUCHED 8 /* pools */

/* Interpreters with a GIL of their own allocate meanwhile. */
static PyObjectArenaAllocator inner;
static atomic_size_t n_new; /* arenas, since they are watched or were last looked at */
static atomic_size_t n_dropped; /* pools, whether used again or not */
static _Thread_local struct range given_back; /* the last arena, by this thread */

static void *watched_alloc(void *context, size_t size)
{
    void *start = inner.alloc(inner.ctx, size);
    if (start != NULL) n_new++;
    return start;
}

static void watched_free(void *context, void *start, size_t size)
{
    given_back = (struct range){(uintptr_t)start, (uintptr_t)start + size};
    inner.free(inner.ctx, start, size);
}

/* watch_arenas(): from now on, new arenas are a burst's. Nothing is done where pymalloc is not in use. Returns None. */
PyObject *memory_watch_arenas(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    if (inner.alloc == NULL && pymalloc_is_in_use()) {
        PyObjectArenaAllocator watcher = {NULL, watched_alloc, watched_free};
        PyObject_GetArenaAllocator(&inner);
        PyObject_SetArenaAllocator(&watcher);
    }
    n_new = 0;
    Py_RETURN_NONE;
}

/* No debugger or tracemalloc adds to them, or wants to be told. */
static bool blocks_are_pymallocs(void)
{
    PyMemAllocatorEx object;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &object);
    return object.ctx == NULL;
}

/* Each block holds the address of the one before; NULL: there is none. */
typedef void *block;

/* Nothing behind the header was written to, or it was dropped. */
static bool is_empty(uintptr_t pool)
{
    unsigned char resident[POOL / 4096] = {0};
    const size_t page = PAGE;
    if (page >= POOL || mincore((void *)(pool + page), POOL - page, resident) < 0) return false;
    for (size_t i = 0; i < sizeof resident; i++) {
        if (resident[i] & 1) return false;
    }
    return true;
}

static block *take_free_pools(void)
{
    block *last = NULL;
    size_t n_empty = 0;
    n_new = 0;
    for (size_t taken = 0; taken < MOST_TAKEN && n_new == 0 && n_empty <= n_dropped + MOST_UNTOUCHED; taken++) {
        block *next = PyObject_Malloc(LARGEST);
        if (next == NULL) break;
        if (last == NULL || pool_of(next) != pool_of(last)) n_empty += is_empty(pool_of(next));
        *next = last;
        last = next;
    }
    return last;
}

/* All of its blocks were taken. */
static bool is_as_known(const struct pool_header *pool)
{
    return pool->n_used == WHOLE && pool->free_block == NULL && pool->size_index == LARGEST_INDEX &&
           pool->most_offset == POOL - LARGEST && pool->next_offset > pool->most_offset;
}

/* Drops all but the first page of a pool that has just become free. Returns how many bytes. */
static size_t release_pool(struct pool_header *pool)
{
    const size_t page = PAGE, behind = POOL - page;
    if (page >= POOL || pool->n_used != 0) return 0;
    pool->size_index = NO_INDEX;
    if (madvise((char *)pool + page, behind, MADV_DONTNEED) != 0) return 0;
    n_dropped++;
    return behind;
}

/* Gives back the blocks of one pool, and drops what it can of it. Returns what was taken before. */
static block *give_back_pool(block *last, size_t *released)
{
    struct pool_header *pool = (struct pool_header *)pool_of(last);
    size_t n = 0;
    for (block *one = last; one != NULL && pool_of(one) == (uintptr_t)pool; one = *one) n++;
    const bool whole = n == WHOLE && is_as_known(pool);
    given_back = (struct range){0, 0};
    for (; n > 0; n--) {
        block *before = *last;
        PyObject_Free(last);
        last = before;
    }
    const bool gone = given_back.start <= (uintptr_t)pool && (uintptr_t)pool < given_back.end;
    if (whole && !gone) *released += release_pool(pool);
    return last;
}

/* release_pools() -> int: bytes that were dropped, beside those of arenas; 0 when there was no new arena. */
PyObject *memory_release_pools(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    size_t released = 0;
    if (n_new > 0 && blocks_are_pymallocs()) {
        for (block *last = take_free_pools(); last != NULL;) last = give_back_pool(last, &released);
        n_new = 0;
    }
    return PyLong_FromSize_t(released);
}
