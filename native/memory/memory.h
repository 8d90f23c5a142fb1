/* memory.h: what the files of saltare._memory share.
 *
 *   module.c  settings of malloc, release of pages, the module itself
 *   park.c   parking: moves the heap into a file and maps the file in its place
 *   known.c  which memory is parked
 *   repark.c written pages that equal the file again go back to the file
 *   counters.c  call counters, in which a page may differ from its file
 *   fresh.c  preparation: later writes touch few pages
 *   early.c  arenas older than the preparation
 *   pools.c  free memory within arenas after a burst
 *   hold.c   holds every other thread meanwhile, unnoticed by them
 *   code.c   shares equal parts of code objects */
#ifndef SALTARE_MEMORY_H
#define SALTARE_MEMORY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/* Addresses, start included and end not. */
struct range {
    uintptr_t start, end;
};

static inline size_t size_of(struct range range) { return range.end - range.start; }

/* pymalloc with 64-bit addresses, since Python 3.10 (Objects/obmalloc.c). Larger blocks come from malloc. Units: bytes. */
#define POOL ((uintptr_t)16384)
#define LARGEST_SMALL 512

/* Start of a pool; blocks of one size follow. */
struct pool_header {
    uint32_t n_used, padding; /* blocks */
    void *free_block;         /* head of a list */
    struct pool_header *next, *previous;
    uint32_t arena, size_index;
    uint32_t next_offset, last_offset; /* of the next unused block, and of the last block; bytes */
};

_Static_assert(sizeof(struct pool_header) == 48, "POOL_OVERHEAD on 64 bits");

static inline uintptr_t pool_of(const void *block) { return (uintptr_t)block & ~(POOL - 1); }

/* ---- hold.c --------------------------------------------------------------------------------------------------- */

#define MOST_THREADS 4096

struct hold;

struct held_thread {
    struct hold *hold;
    pid_t id;
    _Atomic uint32_t held;
    uintptr_t stack; /* an address on the handler's stack */
};

/* A thread that sleeps where it may be sent a signal. */
struct seen_thread {
    pid_t id;
    uint64_t switches; /* how often it has slept */
    bool is_of_core;
};

/* Zeroed memory outside malloc's heap, used once. */
struct hold {
    _Atomic uint32_t released;
    _Atomic uint32_t arrived; /* number of threads held */
    _Atomic uint32_t gone;    /* number of those that were released and no longer read this */
    int signal;
    struct sigaction before;
    sigset_t mask; /* of the caller */
    uint32_t n, n_seen;
    struct held_thread threads[MOST_THREADS];
    struct seen_thread seen[MOST_THREADS];
};

/* NULL: out of memory. */
struct hold *new_hold(void);

/* Call it after release_threads. Memory that the handler of a late thread may still read is never freed. */
void free_hold(struct hold *hold);

/* The reason for a failure, as the end of a sentence about a thread; why is NULL on success. */
struct hold_refusal {
    const char *why;
    pid_t thread; /* 0: no particular thread */
};

/* The range of our core's code, with Go's runtime; empty if it is not loaded. Takes a lock of the dynamic linker, so call it
 * before threads are held. */
struct range find_core(void);

/* Holds every thread except the caller, whose signals are blocked meanwhile. On failure all threads are released, and only the
 * core's have been interrupted. `patience`: how long to try, in ns.
 * Threads: one caller at a time. Calls no malloc, since a held thread may be within it. */
struct hold_refusal hold_threads(struct hold *hold, struct range core, int64_t patience);

/* Releases the held threads. */
void release_threads(struct hold *hold);

/* ---- early.c -------------------------------------------------------------------------------------------------- */

/* A power of two; an interpreter without imports has some 600 such pages. */
#define EARLY_SLOTS 4096

struct early_pages {
    uintptr_t pages[EARLY_SLOTS];
};

/* Fills *early. Returns 0, or -1 with an exception. */
int find_early_pages(struct early_pages *early);

/* Removes pages whose arena was freed. */
void forget_early_pages(struct early_pages *early, struct range range);

/* Writes the pages outside a range to `found`, which has room for EARLY_SLOTS. Returns how many. */
size_t early_pages_outside(const struct early_pages *early, struct range outside, struct range *found);

/* ---- known.c -------------------------------------------------------------------------------------------------- */

/* Arenas are 1 MiB each, 256 KiB before Python 3.10; further ones are not parked. 16 bytes for each one used. */
#define MOST_ARENAS 65536
/* Pieces become mappings, of which the kernel allows a process 65,530; further ones are not parked. 16 bytes for each one
 * used. */
#define MOST_PIECES 16384
#define PAGE ((uintptr_t)sysconf(_SC_PAGESIZE))

struct arena {
    _Atomic uintptr_t start; /* 0: no arena, CLAIMED: an arena is being recorded */
    size_t size;
};

#define CLAIMED 1

/* The context of the arena allocator, outside malloc's heap; never freed. */
struct parking {
    PyObjectArenaAllocator inner;
    _Atomic bool recording;
    struct arena arenas[MOST_ARENAS];
    struct early_pages early;
    struct range variables; /* of the interpreter */
    size_t n_known, n_pieces;
    struct range known[MOST_ARENAS + EARLY_SLOTS + 2]; /* in ascending order */
    struct range pieces[MOST_PIECES]; /* to park, consecutive in the file */
    struct hold hold;
};

/* The break at the start of the process; 0 if /proc does not show it. */
uintptr_t find_first_break(void);

/* The writable segment of the object with the interpreter: libpython, or the program. Takes a lock of the dynamic linker, so
 * call it before threads are held. */
struct range find_variables(void);

/* Fills parking->known: the heap, from the first break to the present one, arenas, and variables. */
void find_known(struct parking *parking, uintptr_t first_break);

bool is_known(const struct parking *parking, uintptr_t address);

/* Fills parking->pieces. Returns 0 or an errno. */
int find_pieces(struct parking *parking);

/* Calls look for each line of a /proc file about mappings, without the line end. No malloc. Returns 0 or an errno. */
int each_line(const char *path, void (*look)(const char *line, void *context), void *context);

struct mapping {
    struct range range;
    off_t offset; /* of its first byte in the file */
    dev_t device;
    ino_t inode; /* of the file; 0: no file */
};

/* Calls look for each private, readable and writable mapping of this process. No malloc. Returns 0 or an errno. */
int each_mapping(void (*look)(struct mapping mapping, void *context), void *context);

/* ---- park.c --------------------------------------------------------------------------------------------------- */

PyObject *memory_prepare_parking(PyObject *module, PyObject *ignored);
PyObject *memory_cancel_parking(PyObject *module, PyObject *ignored);
PyObject *memory_park(PyObject *module, PyObject *fd);
PyObject *memory_share(PyObject *module, PyObject *fd);
PyObject *memory_file_system(PyObject *module, PyObject *fd);

bool parking_is_prepared(void);

/* Whether park() was called. Then reading a page makes it resident again, from a file that no other process has in memory. */
bool is_parked_on_disk(void);

bool pymalloc_is_in_use(void);

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14; before, pages load when touched */
#endif

/* Maps a file with the same content in place of a piece, with advice for madvise(2). Returns the bytes mapped: all, or 0 if
 * mapping failed and the piece is unchanged. Threads: all others are held. */
size_t map_piece(int fd, struct range piece, off_t offset, int advice);

/* Whether park() has moved the byte at this address to this offset of its file. */
bool was_parked(uintptr_t at, off_t offset);

/* Sets a RuntimeError about a thread; 0: no particular thread. */
void raise_refusal(const char *why, pid_t thread);

/* ---- repark.c ------------------------------------------------------------------------------------------------- */

PyObject *memory_repark(PyObject *module, PyObject *args);

/* ---- counters.c ----------------------------------------------------------------------------------------------- */

/* record_counters(): call it once, before park() or share() and before gc.freeze(), which hides objects. Keeps the code objects
 * of all functions alive for ever. Works only on Python 3.11 with parking prepared, else does nothing. */
PyObject *memory_record_counters(PyObject *module, PyObject *ignored);

/* Whether the word at an address, which held `before` and holds `now`, differs only in a recorded counter that has not reached
 * its end. No malloc. */
bool differ_in_counter(uintptr_t at, uint64_t now, uint64_t before);

/* ---- fresh.c -------------------------------------------------------------------------------------------------- */

PyObject *memory_start_fresh(PyObject *module, PyObject *ignored);

/* ---- pools.c -------------------------------------------------------------------------------------------------- */

/* The arena allocator below the one that watches arenas. */
PyObjectArenaAllocator find_arena_allocator(void);

PyObject *memory_watch_arenas(PyObject *module, PyObject *ignored);
PyObject *memory_release_pools(PyObject *module, PyObject *args);
PyObject *memory_in_use(PyObject *module, PyObject *ignored);

/* Anonymous memory of the process, in bytes; 0 if /proc cannot be read. */
size_t bytes_held(void);

/* ---- code.c --------------------------------------------------------------------------------------------------- */

/* Adds the type Sharing. Returns 0, or -1 with an exception. */
int memory_add_sharing(PyObject *module);

#endif
