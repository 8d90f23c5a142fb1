/* After a burst: what is free within pymalloc's arenas goes back to the system.  per process
 *
 * pymalloc (Objects/obmalloc.c) gives an arena of 1 MiB back when nothing at all lies in it, and keeps one such arena; of its
 * other arenas, free pools stay as they were written. So all free pools are taken, by blocks of the largest size, until pymalloc
 * asks for a new arena, and are given back, the last first. Then the new arena is the one that is kept, hardly touched, and empty
 * ones before it go. Of every other pool the pages behind the header are dropped: in a free pool they hold nothing but a list
 * of free blocks, for the case that the same size is wanted again, and a pool of no size has none.
 *
 * A pool that was never written to costs a page then. One arena at most has such, since pymalloc asks for another only when it
 * has no free pool. Nothing is done before the process has grown. */
#include "_memory.h"

#include <stdio.h>
#include <sys/mman.h>

#define LARGEST_INDEX (LARGEST_SMALL / 16 - 1)
#define BLOCKS ((POOL - sizeof(struct pool_header)) / LARGEST_SMALL) /* of a pool, of that size */
#define LAST_OFFSET (POOL - LARGEST_SMALL)                           /* at which a block may begin */
#define NO_INDEX 0xffff                                              /* of a pool whose blocks have no size: DUMMY_SIZE_IDX */

/* By how much a process must have grown. Units: bytes. */
#define GROWTH ((size_t)1 << 20)

/* In one call; in the next, the same would come first again. 256 MiB of pools, some 100 ms. Units: blocks. */
#define MOST_TAKEN (16384 * BLOCKS)

/* As they were when arenas were first watched. */
static PyObjectArenaAllocator arenas_before;
static PyMemAllocatorEx blocks_then;

static size_t least; /* bytes the process held, since start-up or when pools were last released */
static atomic_bool more_wanted; /* an arena; several interpreters may allocate at a time */
static _Thread_local struct range given_back; /* the last arena, by this thread */

/* Anonymous memory of the process, in bytes; 0 where /proc is not to be read. Source: proc(5), statm. */
static size_t bytes_held(void)
{
    unsigned long resident = 0, of_files = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL) return 0;
    if (fscanf(statm, "%*u %lu %lu", &resident, &of_files) != 2) resident = of_files = 0;
    fclose(statm);
    return (resident - of_files) * PAGE;
}

static void *watched_alloc(void *context, size_t size)
{
    more_wanted = true;
    return arenas_before.alloc(arenas_before.ctx, size);
}

static void watched_free(void *context, void *start, size_t size)
{
    given_back = (struct range){(uintptr_t)start, (uintptr_t)start + size};
    arenas_before.free(arenas_before.ctx, start, size);
}

/* watch_arenas(): what the process holds is what it needs; what comes from now on is a burst's. Nothing is done where pymalloc
 * is not in use. Returns None. */
PyObject *memory_watch_arenas(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    if (arenas_before.alloc == NULL && pymalloc_is_in_use()) {
        PyObjectArenaAllocator watcher = {NULL, watched_alloc, watched_free};
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &blocks_then);
        PyObject_GetArenaAllocator(&arenas_before);
        PyObject_SetArenaAllocator(&watcher);
    }
    least = bytes_held();
    Py_RETURN_NONE;
}

/* No debugger, profiler or tracemalloc has come between: they would be told of our blocks, or add to them. */
static bool is_undisturbed(void)
{
    PyObjectArenaAllocator arenas;
    PyMemAllocatorEx blocks;
    PyObject_GetArenaAllocator(&arenas);
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &blocks);
    return arenas.alloc == watched_alloc && blocks.malloc == blocks_then.malloc && blocks.ctx == NULL;
}

/* Each block holds the address of the one before; NULL: there is none. */
typedef void *block;

static struct pool_header *header_of(const block *one) { return (struct pool_header *)pool_of(one); }

/* Whether a block lies in a pool as we know them: what PyObject_Malloc is may have been chosen before arenas were watched. */
static bool is_pymallocs(const block *one)
{
    const struct pool_header *pool = header_of(one);
    const bool mapped = msync((void *)pool_of(one), PAGE, MS_ASYNC) == 0;
    return mapped && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET && pool->n_used <= BLOCKS;
}

static block *take_free_pools(void)
{
    block *last = NULL;
    more_wanted = false;
    for (size_t taken = 0; taken < MOST_TAKEN && !more_wanted; taken++) {
        block *next = PyObject_Malloc(LARGEST_SMALL);
        if (next == NULL) break;
        *next = last;
        last = next;
        if (taken == 0 && !is_pymallocs(next)) break;
    }
    return last;
}

/* Of all its blocks, each was taken. */
static bool is_full(const struct pool_header *pool)
{
    return pool->n_used == BLOCKS && pool->free_block == NULL && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET &&
           pool->next_offset > LAST_OFFSET;
}

/* Drops all but the first page of a pool that has just become free. Returns how many bytes. */
static size_t release_pool(struct pool_header *pool)
{
    const size_t page = PAGE;
    if (page >= POOL || pool->n_used != 0) return 0;
    pool->size_index = NO_INDEX;
    return madvise((char *)pool + page, POOL - page, MADV_DONTNEED) == 0 ? POOL - page : 0;
}

/* Gives back the blocks of one pool, and drops what it can of it. Returns the block that was taken before them. */
static block *give_back_pool(block *last, size_t *released)
{
    struct pool_header *pool = header_of(last);
    size_t n = 0;
    for (block *one = last; one != NULL && header_of(one) == pool; one = *one) n++;
    const bool whole = n == BLOCKS && is_full(pool);
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

/* release_pools() -> int: bytes of pools that were dropped, or had not been touched; 0 when the process has hardly grown. Best
 * called when garbage is collected and malloc trimmed. */
PyObject *memory_release_pools(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    size_t released = 0, held = bytes_held();
    if (held >= least + GROWTH && is_undisturbed()) {
        for (block *last = take_free_pools(); last != NULL;) last = give_back_pool(last, &released);
        least = bytes_held();
    } else if (held < least) {
        least = held;
    }
    return PyLong_FromSize_t(released);
}
