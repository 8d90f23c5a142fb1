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

/* For the time it takes, with the GIL: 128 MiB of pools, some 70 ms. What there is beyond stays, since the same pools come first
 * in the next call. Units: blocks. */
#define MOST_TAKEN (8192 * BLOCKS)

/* Before arenas were watched. */
static PyObjectArenaAllocator arenas_before;

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

static void *watched_alloc(void *Py_UNUSED(context), size_t size)
{
    more_wanted = true;
    return arenas_before.alloc(arenas_before.ctx, size);
}

static void watched_free(void *Py_UNUSED(context), void *start, size_t size)
{
    given_back = (struct range){(uintptr_t)start, (uintptr_t)start + size};
    arenas_before.free(arenas_before.ctx, start, size);
}

/* watch_arenas(): what the process holds is what it needs; what comes from now on is a burst's. Nothing is done where pymalloc
 * is not in use. Returns None. */
PyObject *memory_watch_arenas(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (arenas_before.alloc == NULL && pymalloc_is_in_use()) {
        PyObjectArenaAllocator watcher = {NULL, watched_alloc, watched_free};
        PyObject_GetArenaAllocator(&arenas_before);
        PyObject_SetArenaAllocator(&watcher);
    }
    least = bytes_held();
    Py_RETURN_NONE;
}

PyObjectArenaAllocator find_arena_allocator(void)
{
    PyObjectArenaAllocator now;
    PyObject_GetArenaAllocator(&now);
    return now.alloc == watched_alloc ? arenas_before : now;
}

/* No debugger or tracemalloc has come between: they would be told of our blocks, or add to them. */
static bool is_undisturbed(void)
{
    PyObjectArenaAllocator arenas;
    PyMemAllocatorEx blocks;
    PyObject_GetArenaAllocator(&arenas);
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &blocks);
    return arenas.alloc == watched_alloc && blocks.ctx == NULL;
}

/* What a block holds that was taken. */
struct taken {
    struct taken *before;
    bool whole; /* it is the first of its pool, and stands for all of them */
};

static struct pool_header *header_of(const struct taken *block) { return (struct pool_header *)pool_of(block); }

static struct taken *block_of(struct pool_header *pool, size_t i) { return (struct taken *)((char *)(pool + 1) + i * LARGEST_SMALL); }

/* Whether a block lies in a pool as we know them: PyObject_Malloc may be somebody else's. */
static bool is_pymallocs(const struct taken *block)
{
    const struct pool_header *pool = header_of(block);
    const bool mapped = msync((void *)pool_of(block), PAGE, MS_ASYNC) == 0;
    return mapped && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET && pool->n_used <= BLOCKS;
}

/* Of all its blocks, each is in use. */
static bool is_full(const struct pool_header *pool)
{
    return pool->n_used == BLOCKS && pool->free_block == NULL && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET &&
           pool->next_offset > LAST_OFFSET;
}

/* All but the first page of a pool. Returns how many bytes. */
static size_t drop(struct pool_header *pool)
{
    const size_t page = PAGE;
    if (page >= POOL) return 0;
    return madvise((char *)pool + page, POOL - page, MADV_DONTNEED) == 0 ? POOL - page : 0;
}

/* Returns the last block. Whole pools are dropped at once: together they may be more than the machine has. */
static struct taken *take_free_pools(void)
{
    struct taken *last = NULL, *before_pool = NULL;
    size_t of_pool = 0;
    more_wanted = false;
    for (size_t n = 0; n < MOST_TAKEN && !more_wanted; n++) {
        struct taken *block = PyObject_Malloc(LARGEST_SMALL);
        if (block == NULL) break;
        *block = (struct taken){.before = last};
        if (last == NULL && !is_pymallocs(block)) return block;
        if (last == NULL || header_of(block) != header_of(last)) {
            before_pool = last;
            of_pool = 0;
        }
        last = block;
        if (++of_pool < BLOCKS || !is_full(header_of(block))) continue;
        last = block_of(header_of(block), 0);
        *last = (struct taken){.before = before_pool, .whole = true};
        drop(header_of(last));
    }
    return last;
}

/* Frees all blocks of a pool, and drops what they were. Returns how many bytes. */
static size_t give_back_pool(struct pool_header *pool)
{
    given_back = (struct range){0, 0};
    for (size_t i = BLOCKS; i > 0; i--) PyObject_Free(block_of(pool, i - 1));
    const bool gone = given_back.start <= (uintptr_t)pool && (uintptr_t)pool < given_back.end;
    if (gone || pool->n_used != 0) return 0;
    pool->size_index = NO_INDEX;
    return drop(pool);
}

/* release_pools() -> int: bytes of pools that were dropped, or had not been touched; 0 when the process has hardly grown. Best
 * called when garbage is collected and malloc trimmed. */
PyObject *memory_release_pools(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    size_t released = 0, held = bytes_held();
    if (held >= least + GROWTH && is_undisturbed()) {
        for (struct taken *last = take_free_pools(), *before; last != NULL; last = before) {
            before = last->before;
            if (last->whole) {
                released += give_back_pool(header_of(last));
            } else {
                PyObject_Free(last);
            }
        }
        least = bytes_held();
    } else if (held < least) {
        least = held;
    }
    return PyLong_FromSize_t(released);
}
