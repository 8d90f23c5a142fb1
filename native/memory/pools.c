/* Releasing free memory within pymalloc's arenas to the system, after a burst.
 *
 * pymalloc (Objects/obmalloc.c) frees an arena of 1 MiB only when it is completely empty, and keeps one such arena. In its other
 * arenas, free pools stay in memory. So all free pools are allocated, by blocks of the largest size, until pymalloc asks for a
 * new arena, and are freed again, the last first. Then pymalloc keeps the new arena, hardly touched, and frees older empty ones.
 * In every other pool the pages after the header are dropped. In a free pool they hold only a list of free blocks, in case
 * the same size is needed again; a pool without a size has no list.
 *
 * A pool that was never used then costs a page, and the arena allocated last may have 63 of them. So the work ends at the first
 * one, unless the process has grown much: then other arenas may still have free pools. Nothing is done until the process has
 * grown, or has freed as much: the last quiet period may have been within a burst, such as handlers that all wait, whose pools
 * are free only now.
 *
 * The work is done in slices, since a MiB takes 0.7 ms with the GIL. Between slices the pools taken so far are in use, so other
 * allocations get other pools. */
#include "memory.h"

#include <stdio.h>
#include <sys/mman.h>

#define LARGEST_INDEX (LARGEST_SMALL / 16 - 1)
#define BLOCKS ((POOL - sizeof(struct pool_header)) / LARGEST_SMALL) /* of that size in a pool */
#define LAST_OFFSET (POOL - LARGEST_SMALL)                           /* of the last block */
#define NO_INDEX 0xffff                                              /* of a pool without a block size: DUMMY_SIZE_IDX */

/* Minimum growth of the process, in bytes, or minimum number of blocks freed: as much in small objects. */
#define GROWTH ((size_t)256 << 10)
#define FREED ((Py_ssize_t)(GROWTH / 64))

/* Growth, beyond what was dropped, for which pools that were never used are taken too: they cost 252 KiB at most, once. */
#define LARGE_GROWTH ((size_t)1 << 20)

/* Written into dropped pools, at the end of the page that stays: where a pool has no such mark, and no other pages, it was never used. */
#define DROPPED 0x5a17a7e0d809ed00u

/* In all: 128 MiB of pools. Further pools stay, since the same pools come first the next time. Units: blocks. */
#define MOST_TAKEN (8192 * BLOCKS)

/* The arena allocator before arenas were watched. */
static PyObjectArenaAllocator arenas_before;

static size_t least;          /* fewest bytes held, since start-up or the last release of pools */
static Py_ssize_t most_in_use; /* most blocks seen in use since then */
static atomic_bool more_wanted; /* a new arena was requested; several interpreters may allocate at a time */
static _Thread_local struct range freed_arena; /* the last arena freed by this thread */

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
    freed_arena = (struct range){(uintptr_t)start, (uintptr_t)start + size};
    arenas_before.free(arenas_before.ctx, start, size);
}

/* watch_arenas(): takes the memory held now as the baseline; later growth counts as a burst. Installs no watcher if pymalloc
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

/* Whether no debug allocator or tracemalloc was installed: they would record our blocks, or enlarge them. */
static bool is_undisturbed(void)
{
    PyObjectArenaAllocator arenas;
    PyMemAllocatorEx blocks;
    PyObject_GetArenaAllocator(&arenas);
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &blocks);
    return arenas.alloc == watched_alloc && blocks.ctx == NULL;
}

/* Content of a taken block. */
struct taken {
    struct taken *before;
    bool whole; /* the first block of a full pool, which stands for all its blocks */
};

static struct pool_header *header_of(const struct taken *block) { return (struct pool_header *)pool_of(block); }

static struct taken *block_of(struct pool_header *pool, size_t i) { return (struct taken *)((char *)(pool + 1) + i * LARGEST_SMALL); }

/* Whether a block lies in a pool of the known layout: PyObject_Malloc may be another allocator's. */
static bool is_pymallocs(const struct taken *block)
{
    const struct pool_header *pool = header_of(block);
    const bool mapped = msync((void *)pool_of(block), PAGE, MS_ASYNC) == 0;
    return mapped && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET && pool->n_used <= BLOCKS;
}

/* Whether all blocks are in use. */
static bool is_full(const struct pool_header *pool)
{
    return pool->n_used == BLOCKS && pool->free_block == NULL && pool->size_index == LARGEST_INDEX && pool->last_offset == LAST_OFFSET &&
           pool->next_offset > LAST_OFFSET;
}

static uint64_t *mark_of(struct pool_header *pool) { return (uint64_t *)((char *)pool + PAGE) - 1; }

/* Whether a pool, of which we have just allocated a block, was never used before. */
static bool was_unused(struct pool_header *pool)
{
    const size_t page = PAGE;
    unsigned char resident[POOL / 4096] = {0};
    if (page >= POOL || pool->n_used != 1 || *mark_of(pool) != 0 || mincore((char *)pool + page, POOL - page, resident) != 0) return false;
    for (size_t i = 0; i < (POOL - page) / page; i++) {
        if (resident[i] & 1) return false;
    }
    return true;
}

/* Drops all but the first page of a free or full pool. Returns how many bytes. */
static size_t drop(struct pool_header *pool)
{
    const size_t page = PAGE;
    if (page >= POOL) return 0;
    *mark_of(pool) = DROPPED;
    return madvise((char *)pool + page, POOL - page, MADV_DONTNEED) == 0 ? POOL - page : 0;
}

/* State of the work between slices. Protected by the GIL. */
static struct {
    enum { IDLE, TAKING, GIVING_BACK } state;
    struct taken *last, *before_pool;
    size_t of_pool, n; /* blocks taken: of the last pool, in all */
    size_t released;   /* bytes */
    bool stopped;      /* before all were taken: the rest waits for the next quiet period */
} work;

/* Takes up to `most` blocks. Drops the pages of full pools at once: together they may exceed the machine's memory. Returns whether
 * there are more. */
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
        if (first && was_unused(header_of(block)) && bytes_held() < least + LARGE_GROWTH) return false;
        if (work.of_pool < BLOCKS || !is_full(header_of(block))) continue;
        work.last = block_of(header_of(block), 0);
        *work.last = (struct taken){.before = work.before_pool, .whole = true};
        drop(header_of(work.last));
    }
    return true;
}

/* Frees all blocks of a pool, and drops their pages. Returns how many bytes. */
static size_t release_pool(struct pool_header *pool)
{
    freed_arena = (struct range){0, 0};
    for (size_t i = BLOCKS; i > 0; i--) PyObject_Free(block_of(pool, i - 1));
    const bool gone = freed_arena.start <= (uintptr_t)pool && (uintptr_t)pool < freed_arena.end;
    if (gone || pool->n_used != 0) return 0;
    pool->size_index = NO_INDEX;
    return drop(pool);
}

/* Frees up to `most` pools, the last taken first. Returns whether there are more. */
static bool release_pools(size_t most)
{
    for (size_t i = 0; i < most && work.last != NULL; i++) {
        struct taken *last = work.last;
        work.last = last->before;
        if (last->whole) {
            work.released += release_pool(header_of(last));
        } else {
            PyObject_Free(last);
        }
    }
    return work.last != NULL;
}

/* Blocks of pymalloc that hold objects. 0: Python has no count, or would read each pool header of a heap parked on disk. */
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

/* in_use() -> int: blocks of pymalloc that hold objects; 0 if unknown. Cost: 1 ms for 500 MiB of them. */
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

/* release_pools(pools=0, stop=False) -> int or None: a slice of the work: takes or frees up to `pools` pools; 0: does all of it.
 * `stop`: takes no more. Returns None if there is more to do, else the bytes of pools dropped, or not touched before; 0 if the
 * process has hardly changed. Start it after garbage collection and trimming of malloc. */
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
    if (release_pools(most)) Py_RETURN_NONE;
    work.state = IDLE;
    if (!work.stopped) {
        least = bytes_held();
        most_in_use = blocks_in_use();
    }
    return PyLong_FromSize_t(work.released);
}
