/* memory.h: what the files of saltare._memory share.
 *
 *   module.c  settings of malloc, pages given back, the module itself
 *   park.c   parking: the heap into a file, the file in its place
 *   known.c  which memory that is
 *   repark.c what was written to and is as in the file goes back there
 *   counters.c  counters of calls, in which a page may differ from its file
 *   fresh.c  before either: what is written from then on lies together
 *   early.c  arenas from before that was prepared
 *   pools.c  what is free within arenas, after a burst
 *   hold.c   every other thread held still meanwhile, where none of them can tell
 *   code.c   equal parts of code exist once */
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

/* Of pymalloc with 64-bit addresses, since Python 3.10 (Objects/obmalloc.c). What is larger comes from malloc. Units: bytes. */
#define POOL ((uintptr_t)16384)
#define LARGEST_SMALL 512

/* A pool begins with it; what follows are blocks of one size. */
struct pool_header {
    uint32_t n_used, padding; /* blocks */
    void *free_block;         /* of a list */
    struct pool_header *next, *previous;
    uint32_t arena, size_index;
    uint32_t next_offset, last_offset; /* of the next block that was never used, and of the last one; bytes */
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
    uintptr_t stack; /* an address on the stack of its handler */
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
    _Atomic uint32_t arrived; /* how many threads are held */
    _Atomic uint32_t gone;    /* how many of them were released and look here no more */
    int signal;
    struct sigaction before;
    sigset_t mask; /* of the caller */
    uint32_t n, n_seen;
    struct held_thread threads[MOST_THREADS];
    struct seen_thread seen[MOST_THREADS];
};

/* NULL: there is no memory. */
struct hold *new_hold(void);

/* After release_threads. Memory that the handler of a late thread may still look at is kept for ever. */
void free_hold(struct hold *hold);

/* Why not, as the end of a sentence about a thread; why is NULL when all is well. */
struct hold_refusal {
    const char *why;
    pid_t thread; /* 0: it is about none in particular */
};

/* Where the code of our core is, with Go's runtime; empty while it is not loaded. Takes a lock of the dynamic linker, which a held
 * thread might have. */
struct range find_core(void);

/* Holds every thread but the caller, whose signals are blocked meanwhile. Refused, it has released those it held, and no thread
 * but the core's has been disturbed. `patience`: how long to try, in ns.
 * Threads: one caller at a time. No malloc is called, for a held thread may be within it. */
struct hold_refusal hold_threads(struct hold *hold, struct range core, int64_t patience);

/* Lets them go on. */
void release_threads(struct hold *hold);

/* ---- early.c -------------------------------------------------------------------------------------------------- */

/* A power of two; an interpreter that has imported nothing yet has some 600 such pages. */
#define EARLY_SLOTS 4096

struct early_pages {
    uintptr_t pages[EARLY_SLOTS];
};

/* Fills it. Returns 0, or -1 with an exception. */
int find_early_pages(struct early_pages *early);

/* Their arena is given back. */
void forget_early_pages(struct early_pages *early, struct range range);

/* Writes those outside of a range to `found`, which has room for EARLY_SLOTS, and returns how many. */
size_t early_pages_outside(const struct early_pages *early, struct range outside, struct range *found);

/* ---- known.c -------------------------------------------------------------------------------------------------- */

/* Arenas are 1 MiB each, 256 KiB before Python 3.10; those beyond are not parked. 16 bytes each, as far as used. */
#define MOST_ARENAS 65536
/* Pieces become mappings, of which the kernel allows a process 65,530; those beyond are not parked. 16 bytes each, as far as
 * used. */
#define MOST_PIECES 16384
#define PAGE ((uintptr_t)sysconf(_SC_PAGESIZE))

struct arena {
    _Atomic uintptr_t start; /* 0: no arena, CLAIMED: about to be one */
    size_t size;
};

#define CLAIMED 1

/* The context of the arena allocator, outside malloc's heap; it lives as long as the process. */
struct parking {
    PyObjectArenaAllocator inner;
    _Atomic bool recording;
    struct arena arenas[MOST_ARENAS];
    struct early_pages early;
    struct range variables; /* of the interpreter */
    size_t n_known, n_pieces;
    struct range known[MOST_ARENAS + EARLY_SLOTS + 2]; /* in ascending order */
    struct range pieces[MOST_PIECES]; /* to be parked, one behind the other in the file */
    struct hold hold;
};

/* Where the break was when the process began; 0 when /proc does not say. */
uintptr_t find_first_break(void);

/* The writable segment of the object that the interpreter is in: libpython, or the program. Takes a lock of the dynamic linker,
 * which a held thread might have. */
struct range find_variables(void);

/* Fills parking->known: the heap, from where the break was at first to where it is now, arenas, and variables. */
void find_known(struct parking *parking, uintptr_t first_break);

bool is_known(const struct parking *parking, uintptr_t address);

/* Fills parking->pieces. Returns 0 or an errno. */
int find_pieces(struct parking *parking);

/* Calls look with each line of a file of /proc about mappings, without its end. No malloc. Returns 0 or an errno. */
int each_line(const char *path, void (*look)(const char *line, void *context), void *context);

struct mapping {
    struct range range;
    off_t offset; /* of its first byte in the file */
    dev_t device;
    ino_t inode; /* of the file; 0: there is none */
};

/* Calls look with each private mapping of this process that may be read and written. No malloc. Returns 0 or an errno. */
int each_mapping(void (*look)(struct mapping mapping, void *context), void *context);

/* ---- park.c --------------------------------------------------------------------------------------------------- */

PyObject *memory_prepare_parking(PyObject *module, PyObject *ignored);
PyObject *memory_park(PyObject *module, PyObject *fd);
PyObject *memory_share(PyObject *module, PyObject *fd);
PyObject *memory_file_system(PyObject *module, PyObject *fd);

bool parking_is_prepared(void);

/* Whether park() was called: a page that is only read becomes resident again, of a file that nobody else has in memory. */
bool is_parked_on_disk(void);

bool pymalloc_is_in_use(void);

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14; before, pages come as they are touched */
#endif

/* Maps a file, which holds the same, in place of a piece, with advice for madvise(2). Returns how many bytes: all, or 0 when it
 * could not be mapped and is as it was. Threads: all others are held. */
size_t map_piece(int fd, struct range piece, off_t offset, int advice);

/* Whether park() has put the byte at this address at this place of its file. */
bool was_parked(uintptr_t at, off_t offset);

/* Sets a RuntimeError about a thread, or about none in particular (0). */
void raise_refusal(const char *why, pid_t thread);

/* ---- repark.c ------------------------------------------------------------------------------------------------- */

PyObject *memory_repark(PyObject *module, PyObject *args);

/* ---- counters.c ----------------------------------------------------------------------------------------------- */

/* record_counters(): to be called once, before park() or share() and before gc.freeze(), whose objects are not found. Keeps the
 * code objects of all functions alive for ever. Does nothing where parking was not prepared, and but on Python 3.11. */
PyObject *memory_record_counters(PyObject *module, PyObject *ignored);

/* Whether the word at an address, which held `before` and holds `now`, has changed in nothing but a recorded counter that has not
 * come to its end. No malloc. */
bool differ_in_counter(uintptr_t at, uint64_t now, uint64_t before);

/* ---- fresh.c -------------------------------------------------------------------------------------------------- */

PyObject *memory_start_fresh(PyObject *module, PyObject *ignored);

/* ---- pools.c -------------------------------------------------------------------------------------------------- */

/* The allocator of arenas, below the one that watches them. */
PyObjectArenaAllocator find_arena_allocator(void);

PyObject *memory_watch_arenas(PyObject *module, PyObject *ignored);
PyObject *memory_release_pools(PyObject *module, PyObject *args);
PyObject *memory_in_use(PyObject *module, PyObject *ignored);

/* Anonymous memory of the process, in bytes; 0 where /proc is not to be read. */
size_t bytes_held(void);

/* ---- code.c --------------------------------------------------------------------------------------------------- */

/* Adds the type Sharing. Returns 0, or -1 with an exception. */
int memory_add_sharing(PyObject *module);

#endif
