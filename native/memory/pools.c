/* After a burst: what is free within pymalloc's arenas goes back to the system.
 *
 * pymalloc (Objects/obmalloc.c) gives an arena of 1 MiB back when nothing at all lies in it, and keeps one such arena; of its
 * other arenas, free pools stay as they were written. So all free pools are taken, by blocks of the largest size, until pymalloc
 * asks for a new arena, and are given back, the last first. Then the new arena is the one that is kept, hardly touched, and empty
 * ones before it go. Of every other pool the pages behind the header are dropped: in a free pool they hold nothing but a list
 * of free blocks, for the case that the same size is wanted again, and a pool of no size has none.
 *
 * A pool that was never written to costs a page then. One arena at most has such, since pymalloc asks for another only when it
 * has no free pool. Nothing is done before the process has grown, or has freed as much: the quiet period before may have been
 * within a burst, as of handlers that all wait, whose pools are free only now.
 *
 * It is done in slices, since a MiB takes 0.7 ms with the GIL. Between two of them the pools taken so far are in use, as
 * anybody else sees it: who allocates meanwhile gets others. */
#include "memory.h"

#include <stdio.h>
#include <sys/mman.h>

#define LARGEST_INDEX (LARGEST_SMALL / 16 - 1)
#define BLOCKS ((POOL - sizeof(struct pool_header)) / LARGEST_SMALL) /* of a pool, of that size */
#define LAST_OFFSET (POOL - LARGEST_SMALL)                           /* at which a block may begin */
#define NO_INDEX 0xffff                                              /* of a pool whose blocks have no size: DUMMY_SIZE_IDX */

/* By how much a process must have grown, in bytes, or how many blocks it must have freed: as much in small objects. */
#define GROWTH ((size_t)256 << 10)
#define FREED ((Py_ssize_t)(GROWTH / 64))

/* In all: 128 MiB of pools. What there is beyond stays, since the same pools come first the next time. Units: blocks. */
#define MOST_TAKEN (8192 * BLOCKS)

/* Before arenas were watched. */
static PyObjectArenaAllocator arenas_before;

static size_t least;          /* bytes the process held, since start-up or when pools were last released */
static Py_ssize_t most_in_use; /* blocks, of the times that were looked at since */
static atomic_bool more_wanted; /* an arena; several interpreters may allocate at a time */
static _Thread_local struct range given_back; /* the last arena, by this thread */

/* Source: proc(5), statm. */
size_t bytes_held(void)
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

/* Where the work stands between two slices. Under the GIL. */
static struct {
    enum { IDLE, TAKING, GIVING_BACK } state;
    struct taken *last, *before_pool;
    size_t of_pool, n; /* blocks taken: of the last pool, in all */
    size_t released;   /* bytes */
    bool stopped;      /* before all were taken: what is left is for the next quiet period */
} work;

/* Takes as many blocks, or those that are left. Whole pools are dropped at once: together they may be more than the machine has.
 * Returns whether there are more. */
static bool take_free_pools(size_t most)
{
    for (size_t i = 0; i < most; i++) {
        if (work.n++ == MOST_TAKEN || more_wanted) return false;
        struct taken *block = PyObject_Malloc(LARGEST_SMALL);
        if (block == NULL) return false;
        const bool first_of_all = work.last == NULL, first = first_of_all || header_of(block) != header_of(work.last);
        *block = (struct taken){.before = work.last};
        if (first) work.before_pool = work.last;
        work.of_pool = first ? 1 : work.of_pool + 1;
        work.last = block;
        if (first_of_all && !is_pymallocs(block)) return false;
        if (work.of_pool < BLOCKS || !is_full(header_of(block))) continue;
        work.last = block_of(header_of(block), 0);
        *work.last = (struct taken){.before = work.before_pool, .whole = true};
        drop(header_of(work.last));
    }
    return true;
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

/* The last that was taken comes first, as many pools. Returns whether there are more. */
static bool give_back_pools(size_t most)
{
    for (size_t i = 0; i < most && work.last != NULL; i++) {
        struct taken *last = work.last;
        work.last = last->before;
        if (last->whole) {
            work.released += give_back_pool(header_of(last));
        } else {
            PyObject_Free(last);
        }
    }
    return work.last != NULL;
}

/* Blocks of pymalloc that hold objects. 0: Python does not tell, or would read the header of each pool of a heap that is parked. */
static Py_ssize_t blocks_in_use(void)
{
    if (is_parked_on_disk()) return 0;
    PyObject *count = Py_XNewRef(PySys_GetObject("getallocatedblocks"));
    PyObject *result = count ? PyObject_CallNoArgs(count) : NULL;
    Py_ssize_t blocks = result ? PyLong_AsSsize_t(result) : -1;
    Py_XDECREF(result);
    Py_XDECREF(count);
    PyErr_Clear();
    return blocks < 0 ? 0 : blocks;
}

/* in_use() -> int: blocks of pymalloc that hold objects; 0 where that is not known. Price: 1 ms for 500 MiB of them. */
PyObject *memory_in_use(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) { return PyLong_FromSsize_t(blocks_in_use()); }

static void begin(void)
{
    const size_t held = bytes_held();
    const Py_ssize_t in_use = blocks_in_use();
    if (in_use > most_in_use) most_in_use = in_use;
    const bool has_grown = held >= least + GROWTH, has_freed = in_use + FREED <= most_in_use;
    if ((has_grown || has_freed) && is_undisturbed()) {
        work.state = TAKING;
        work.before_pool = NULL;
        work.of_pool = work.n = work.released = 0;
        work.stopped = false;
        more_wanted = false;
    } else if (held < least) {
        least = held;
    }
}

/* release_pools(pools=0, stop=False) -> int or None: a slice of the work, in which so many pools are taken or given back; 0: all of
 * it. `stop`: no more are to be taken. None: there is more to do. Else bytes of pools that were dropped, or had not been touched;
 * 0 when the process has hardly changed. Best begun when garbage is collected and malloc trimmed. */
PyObject *memory_release_pools(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_ssize_t pools = 0;
    int stop = 0;
    if (!PyArg_ParseTuple(args, "|np:release_pools", &pools, &stop)) return NULL;
    const size_t most = pools > 0 ? (size_t)pools : SIZE_MAX / BLOCKS;
    if (work.state == IDLE) begin();
    if (work.state == IDLE) return PyLong_FromLong(0);
    if (work.state == TAKING && !stop && is_undisturbed()) {
        const bool more = take_free_pools(most * BLOCKS);
        if (more || pools > 0) {
            work.state = more ? TAKING : GIVING_BACK;
            Py_RETURN_NONE;
        }
    }
    if (work.state == TAKING && stop) work.stopped = true;
    work.state = GIVING_BACK;
    if (give_back_pools(most)) Py_RETURN_NONE;
    work.state = IDLE;
    if (!work.stopped) {
        least = bytes_held();
        most_in_use = blocks_in_use();
    }
    return PyLong_FromSize_t(work.released);
}
