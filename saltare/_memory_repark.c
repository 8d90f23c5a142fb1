/* Parking again: pages that were written to and hold once more what the file holds.  per process
 *
 * To call a Python function counts its references up and down again, and that alone makes a page of parked memory, or of
 * memory shared with other workers, the process's own. Dropped, it is the file's again: the same bytes.
 *
 * Only what is in memory is compared with: nothing waits for a disk while threads are held. */
#include "_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* pagemap(5): bits of an entry of /proc/self/pagemap, 8 bytes for each page. */
#define PRESENT (1ULL << 63)
#define OF_FILE (1ULL << 61)

#define ENTRIES 512 /* looked at together */
/* Pages looked at in one go: some 25 ms. A process that has written to more of its heap will not share much of it. */
#define MOST_COMPARED 16384

struct reparking {
    int file, pagemap;
    uintptr_t page; /* bytes */
    bool waits;     /* the file system does not tell what is in memory */
    size_t compared;
    size_t reparked; /* bytes */
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static ssize_t read_file(struct reparking *work, void *bytes, size_t n, off_t offset)
{
    if (!work->waits) {
        struct iovec to = {bytes, n};
        ssize_t got = preadv2(work->file, &to, 1, offset, RWF_NOWAIT);
        if (got >= 0 || errno != EOPNOTSUPP) return got;
        work->waits = true;
    }
    return pread(work->file, bytes, n, offset);
}

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000
/* Whether two words at an address differ in nothing but a code object's count of its first calls, before it is optimised
 * (co_warmup, in 3.11 only): the count may well begin again. `from` is where the mapping starts. */
static bool is_warmup(uintptr_t from, uintptr_t at, uint64_t now, uint64_t before)
{
    const size_t word = offsetof(PyCodeObject, co_warmup) & ~(size_t)7, shift = 8 * (offsetof(PyCodeObject, co_warmup) - word);
    const uint64_t count = (uint64_t)0xffff << shift;
    if (((now ^ before) & ~count) != 0 || (now & count) == 0 || at - from < word) return false;
    return Py_IS_TYPE((PyObject *)(at - word), &PyCode_Type);
}
#else
static bool is_warmup(uintptr_t from, uintptr_t at, uint64_t now, uint64_t before) { return false; }
#endif

#define WORDS 512 /* looked at together */

/* Whether a page holds what the file holds, or nothing else that matters. */
static bool is_as_in_file(struct reparking *work, uintptr_t from, uintptr_t at, off_t offset)
{
    uint64_t before[WORDS];
    work->compared++;
    for (size_t done = 0; done < work->page; done += sizeof before) {
        const uint64_t *now = (const uint64_t *)(at + done);
        if (read_file(work, before, sizeof before, offset + (off_t)done) != sizeof before) return false;
        if (memcmp(before, now, sizeof before) == 0) continue;
        for (size_t i = 0; i < WORDS; i++) {
            if (now[i] != before[i] && !is_warmup(from, (uintptr_t)&now[i], now[i], before[i])) return false;
        }
    }
    return true;
}

/* One mapping of the file, whose first byte is that at offset. */
static void repark_mapping(struct reparking *work, struct range mapping, off_t offset)
{
    uint64_t entries[ENTRIES];
    const uintptr_t page = work->page;
    for (uintptr_t at = mapping.start; at < mapping.end && work->compared < MOST_COMPARED; at += ENTRIES * page) {
        size_t n = smaller((mapping.end - at) / page, ENTRIES);
        ssize_t got = pread(work->pagemap, entries, n * sizeof *entries, (off_t)(at / page * sizeof *entries));
        if (got != (ssize_t)(n * sizeof *entries)) return;
        for (size_t i = 0; i < n; i++) {
            uintptr_t one = at + i * page;
            if (!(entries[i] & PRESENT) || entries[i] & OF_FILE) continue;
            if (!is_as_in_file(work, mapping.start, one, offset + (off_t)(one - mapping.start))) continue;
            if (madvise((void *)one, page, MADV_DONTNEED) == 0) work->reparked += page;
        }
    }
}

struct mapped_file {
    struct reparking *work;
    struct stat about;
};

static void look_at_mapping(struct mapping mapping, void *context)
{
    struct mapped_file *mapped = context;
    if (mapping.inode == mapped->about.st_ino && was_parked(mapping.range.start, mapping.offset)) {
        repark_mapping(mapped->work, mapping.range, mapping.offset);
    }
}

/* repark(fd) -> int: gives those pages of memory back to the file of park() that hold what it holds. Returns bytes.
 * OSError: of the file or of /proc. RuntimeError: a thread could not be held still. */
PyObject *memory_repark(PyObject *module, PyObject *arg)
{
    struct reparking work = {.file = PyObject_AsFileDescriptor(arg), .page = (uintptr_t)sysconf(_SC_PAGESIZE)};
    struct mapped_file mapped = {.work = &work};
    if (work.file < 0) return NULL;
    if (fstat(work.file, &mapped.about) < 0 || (work.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    struct hold *hold = new_hold();
    struct hold_refusal refusal = {.why = "no memory to hold threads with"};
    int error = 0;
    if (hold != NULL) refusal = hold_threads(hold);
    if (refusal.why == NULL) {
        error = each_mapping(look_at_mapping, &mapped);
        release_threads(hold);
    }
    if (hold != NULL) free_hold(hold);
    close(work.pagemap);
    if (refusal.why != NULL) {
        raise_refusal(refusal.why, refusal.thread);
        return NULL;
    }
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromSize_t(work.reparked);
}
