/* Parking again: pages that were written to and equal the file again.
 *
 * Calling a Python function raises and lowers its reference count. That alone makes a page of parked memory, or of memory shared
 * with other workers, private to the process. Once dropped, the page is read from the file again, with the same bytes.
 *
 * Workers also write the same bytes to the same page, since they began as copies of one process and did the same work. The
 * first worker puts such a page into a second file, the pool, at the offset that it has in the first. The others find it there,
 * and all map it. A page of the pool is written once, before any process maps it; a page that is not zero is present.
 *
 * Pages are compared only with file pages in memory: nothing waits for a disk while threads are held. Only pages that are equal
 * byte for byte, except for recorded counters, go back to the file.
 *
 * With a file on a disk, pages that were only read are unmapped too: each fault maps all 16 pages around it that the page cache
 * has. They are mapped from there again when used, unless the kernel has needed the memory.
 *
 * While the process serves, the work is done in slices: after some pages the threads continue and the loop runs. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* pagemap(5): bits of an entry of /proc/self/pagemap, 8 bytes for each page. */
#define PRESENT (1ULL << 63)
#define OF_FILE (1ULL << 61)
#define OURS_ALONE (1ULL << 56)

#define ENTRIES 512 /* read together */
#define ENTRIES_COST 4 /* of reading ENTRIES entries, in pages compared */
/* Pages compared before a process serves: some 25 ms. A process that has written to more of its heap will not share much. */
#define MOST_COMPARED 16384

/* Attempts to lock the pool while another process uses it, a millisecond apart. While requests are served: one. */
#define MOST_TRIES 200
/* Each single page mapped from the pool adds two mappings, and each slice reads the list of all mappings: 3 ms. The kernel
 * allows a process 65,530. */
#define MOST_MAPPINGS 4096

/* How long to wait until all threads are held. Units: ns. */
#define PATIENCE 200000000LL
#define PATIENCE_OF_SLICE 4000000LL

#ifndef MADV_COLD
#define MADV_COLD 20 /* since Linux 5.4 */
#endif

struct reparking {
    int file, pool;   /* pool: -1: none */
    bool looks;       /* may use the pool, which no other process changes meanwhile */
    int pagemap;
    uintptr_t page;   /* bytes */
    bool waits;       /* the file system cannot read without waiting */
    bool on_disk;     /* the file: pages that were only read can be unmapped */
    size_t mappings, compared, most; /* most: limit of compared */
    size_t reparked;  /* bytes */
    uintptr_t begin;  /* memory before it has been examined */
    uintptr_t next;   /* start of the next slice; 0: all was examined */
    struct range run; /* consecutive pages that the pool has */
    off_t run_offset;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Does not wait for a disk, if the file system supports that. */
static ssize_t read_file(struct reparking *work, int fd, void *bytes, size_t n, off_t offset)
{
    if (fd == work->file && !work->waits) {
        struct iovec to = {bytes, n};
        ssize_t got = preadv2(fd, &to, 1, offset, RWF_NOWAIT);
        if (got >= 0 || errno != EOPNOTSUPP) return got;
        work->waits = true;
    }
    return pread(fd, bytes, n, offset);
}

#define WORDS 512 /* compared together */

/* `now` is the address in memory, so that counters can be looked up. */
static bool are_alike(const uint64_t *now, const uint64_t *before)
{
    if (memcmp(before, now, WORDS * sizeof *now) == 0) return true;
    for (size_t i = 0; i < WORDS; i++) {
        if (now[i] != before[i] && !differ_in_counter((uintptr_t)&now[i], now[i], before[i])) return false;
    }
    return true;
}

static bool are_zero(const uint64_t *words) { return words[0] == 0 && memcmp(words, words + 1, (WORDS - 1) * sizeof *words) == 0; }

/* How a page of a file compares with the page in memory. */
struct likeness {
    bool known;
    bool alike; /* equal byte for byte, except counters */
    bool zero;
};

static struct likeness compare(struct reparking *work, int fd, uintptr_t at, off_t offset)
{
    struct likeness likeness = {true, true, true};
    uint64_t before[WORDS];
    work->compared++;
    for (size_t done = 0; done < work->page && (likeness.alike || likeness.zero); done += sizeof before) {
        if (read_file(work, fd, before, sizeof before, offset + (off_t)done) != sizeof before) return (struct likeness){.known = false};
        likeness.alike = likeness.alike && are_alike((const uint64_t *)(at + done), before);
        likeness.zero = likeness.zero && are_zero(before);
    }
    return likeness;
}

/* ---- the pool ------------------------------------------------------------------------------------------------- */

/* Maps the pool in place of the pages found in it. */
static void map_run(struct reparking *work)
{
    if (size_of(work->run) > 0) work->reparked += map_piece(work->pool, work->run, work->run_offset, MADV_POPULATE_READ);
    work->run.end = work->run.start;
}

/* Handles a page that differs from the file. */
static void look_into_pool(struct reparking *work, uintptr_t at, off_t offset)
{
    if (work->mappings >= MOST_MAPPINGS) return;
    struct likeness likeness = compare(work, work->pool, at, offset);
    if (!likeness.known) return;
    if (likeness.zero) {
        if (likeness.alike || pwrite(work->pool, (void *)at, work->page, offset) != (ssize_t)work->page) return;
    } else if (!likeness.alike) {
        return;
    }
    if (work->run.end != at || work->run_offset + (off_t)size_of(work->run) != offset) {
        map_run(work);
        work->mappings += 2;
        work->run.start = at;
        work->run_offset = offset;
    }
    work->run.end = at + work->page;
}

/* Whether the pool is valid and may be used: by one process at a time until it is sealed. */
static bool enter_pool(int pool, int most_tries, bool *locked)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct timespec pause = {.tv_nsec = 1000000};
    const int seals = fcntl(pool, F_GET_SEALS);
    if (seals < 0 || seals & F_SEAL_WRITE) return seals >= 0;
    for (int tries = 1;; tries++) {
        *locked = fcntl(pool, F_SETLK, &lock) == 0;
        if (*locked || tries >= most_tries || (errno != EAGAIN && errno != EACCES && errno != EINTR)) break;
        nanosleep(&pause, NULL);
    }
    return *locked;
}

static void leave_pool(int pool)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(pool, F_SETLK, &lock);
}

/* ---- mappings ------------------------------------------------------------------------------------------------- */

/* Handles a page that was written to. `fd` is the file mapped there; pages that a child still has are not ours alone. */
static void repark_page(struct reparking *work, int fd, uintptr_t at, off_t offset, bool ours_alone)
{
    struct likeness likeness = compare(work, fd, at, offset);
    if (likeness.alike) {
        if (madvise((void *)at, work->page, MADV_DONTNEED) == 0) work->reparked += work->page;
    } else if (likeness.known && ours_alone) {
        look_into_pool(work, at, offset);
    }
}

/* Whether this slice is over; then the next one begins at `at`. */
static bool is_over(struct reparking *work, uintptr_t at)
{
    if (work->next == 0 && work->compared >= work->most) work->next = at;
    return work->next != 0;
}

/* Unmaps consecutive pages of the file. They keep their bytes there. */
static void unmap_clean(struct reparking *work, struct range *clean)
{
    if (size_of(*clean) > 0 && madvise((void *)clean->start, size_of(*clean), MADV_DONTNEED) == 0) work->compared++;
    clean->start = clean->end;
}

/* Handles pages of a mapping from `at` on, with the entries of one read of pagemap. */
static void repark_pages(struct reparking *work, int fd, const uint64_t *entries, size_t n, struct mapping mapping, uintptr_t at, bool looks)
{
    const bool unmaps = work->on_disk && fd == work->file;
    struct range clean = {at, at};
    for (size_t i = 0; i < n && !is_over(work, at); i++, at += work->page) {
        if (unmaps && entries[i] & PRESENT && entries[i] & OF_FILE) {
            clean.end = at + work->page;
            continue;
        }
        unmap_clean(work, &clean);
        clean = (struct range){at + work->page, at + work->page};
        if (!(entries[i] & PRESENT) || entries[i] & OF_FILE) continue;
        repark_page(work, fd, at, mapping.offset + (off_t)(at - mapping.range.start), looks && entries[i] & OURS_ALONE);
    }
    unmap_clean(work, &clean);
}

/* Handles a mapping of a file. */
static void repark_mapping(struct reparking *work, int fd, struct mapping mapping)
{
    uint64_t entries[ENTRIES];
    const uintptr_t page = work->page;
    /* Locked pages (mlock) reject MADV_COLD and MADV_DONTNEED, since they must stay in memory; mmap would replace them anyway. */
    const bool looks = work->looks && fd != work->pool && madvise((void *)mapping.range.start, page, MADV_COLD) == 0;
    uintptr_t at = mapping.range.start < work->begin ? work->begin : mapping.range.start;
    while (at < mapping.range.end && !is_over(work, at)) {
        size_t n = smaller((mapping.range.end - at) / page, ENTRIES);
        ssize_t got = pread(work->pagemap, entries, n * sizeof *entries, (off_t)(at / page * sizeof *entries));
        if (got != (ssize_t)(n * sizeof *entries)) break;
        work->compared += ENTRIES_COST;
        repark_pages(work, fd, entries, n, mapping, at, looks);
        at += n * page;
    }
    map_run(work);
}

struct mapped_files {
    struct reparking *work;
    struct stat file, pool;
};

static void look_at_mapping(struct mapping mapping, void *context)
{
    struct mapped_files *mapped = context;
    mapped->work->mappings++;
    if (mapped->work->next != 0 || mapping.inode == 0 || mapping.range.end <= mapped->work->begin || !was_parked(mapping.range.start, mapping.offset)) return;
    if (mapping.inode == mapped->pool.st_ino && mapping.device == mapped->pool.st_dev) {
        repark_mapping(mapped->work, mapped->work->pool, mapping);
    } else if (mapping.inode == mapped->file.st_ino) { /* some file systems show another device here than in stat(2) */
        repark_mapping(mapped->work, mapped->work->file, mapping);
    }
}

/* Returns 0 or an errno. */
static int repark_all(struct reparking *work, int64_t patience, struct hold_refusal *refusal)
{
    struct mapped_files mapped = {.work = work};
    struct statfs about;
    const struct range core = find_core();
    struct hold *hold = new_hold();
    int error = 0;
    *refusal = (struct hold_refusal){.why = "no memory to hold threads with"};
    if (hold == NULL) return 0;
    if (fstat(work->file, &mapped.file) < 0 || (work->pool >= 0 && fstat(work->pool, &mapped.pool) < 0)) error = errno;
    work->on_disk = fstatfs(work->file, &about) == 0 && about.f_type != TMPFS_MAGIC;
    if (error == 0) *refusal = hold_threads(hold, core, patience);
    if (error == 0 && refusal->why == NULL) {
        error = each_mapping(look_at_mapping, &mapped);
        release_threads(hold);
    }
    free_hold(hold);
    return error;
}

/* The cache of attributes looked up on types fills again when it is used. Emptied, its pages equal the file's, since start_fresh() has
 * emptied it too. Python 3.10 would write to every type. */
static void empty_attribute_cache(void)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyType_ClearCache();
#endif
}

/* repark(fd, pool, begin=0, pages=0) -> (bytes, next): returns pages that equal the file of park() to that file, and shares
 * others through the pool: a file in memory of the same size, empty at first, with seals; -1: none.
 * With `pages`, a slice: from the address `begin` on, until that many pages were compared; `next` is the start of the next
 * slice, 0 if all was examined. Without `pages`, the whole memory; use that when no request waits.
 * OSError: of the files or of /proc. RuntimeError: a thread could not be held.
 * Threads: one caller at a time, since a file lock belongs to a process. */
PyObject *memory_repark(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct reparking work = {.page = (uintptr_t)sysconf(_SC_PAGESIZE)};
    struct hold_refusal refusal;
    unsigned long long begin = 0, pages = 0;
    bool locked = false;
    if (!PyArg_ParseTuple(args, "ii|KK:repark", &work.file, &work.pool, &begin, &pages)) return NULL;
    empty_attribute_cache();
    work.begin = (uintptr_t)begin;
    work.most = pages != 0 ? (size_t)pages : MOST_COMPARED;
    if ((work.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_BEGIN_ALLOW_THREADS
    work.looks = work.pool >= 0 && enter_pool(work.pool, pages != 0 ? 1 : MOST_TRIES, &locked);
    Py_END_ALLOW_THREADS
    if (!work.looks) work.pool = -1;
    int error = repark_all(&work, pages != 0 ? PATIENCE_OF_SLICE : PATIENCE, &refusal);
    if (locked) leave_pool(work.pool);
    close(work.pagemap);
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (refusal.why != NULL) {
        raise_refusal(refusal.why, refusal.thread);
        return NULL;
    }
    return Py_BuildValue("nK", (Py_ssize_t)work.reparked, (unsigned long long)work.next);
}
