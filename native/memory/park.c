/* Parking: the cold heap moves into a file that is mapped in its place.
 *
 * Bytes and addresses stay the same. But an untouched page no longer takes memory, a page that is read is page cache, which the
 * kernel can drop and read again, and a page that is written becomes private to the process again.
 *
 * A file in memory (memfd_create) saves none of that, but a process and its forked children can then return equal pages to the
 * file: see repark.c.
 *
 * known.c says which memory is parked, and why no other. */
#include "memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

/* malloc's default M_MMAP_MAX. */
#define MMAP_MAX 65536
/* How long to wait until all threads are held. Units: ns. */
#define PATIENCE 200000000LL
/* For a file in memory: bytes that exist twice during the move. */
#define MOVED_AT_ONCE ((size_t)1 << 20)

/* ---- arenas ---------------------------------------------------------------------------------------------------
 *
 * Interpreters with a GIL of their own share the allocator, so records are claimed atomically. */

static void record(struct parking *parking, uintptr_t start, size_t size)
{
    if (start % PAGE != 0 || size % PAGE != 0) return; /* from an unusual arena allocator */
    for (size_t i = 0; i < MOST_ARENAS; i++) {
        uintptr_t none = 0;
        if (!atomic_compare_exchange_strong(&parking->arenas[i].start, &none, CLAIMED)) continue;
        parking->arenas[i].size = size;
        atomic_store(&parking->arenas[i].start, start);
        return;
    }
}

static void forget(struct parking *parking, uintptr_t start, size_t size)
{
    forget_early_pages(&parking->early, (struct range){start, start + size});
    for (size_t i = 0; i < MOST_ARENAS; i++) {
        if (atomic_load(&parking->arenas[i].start) != start) continue;
        atomic_store(&parking->arenas[i].start, 0);
        return;
    }
}

static void *arena_alloc(void *context, size_t size)
{
    struct parking *parking = context;
    void *start = parking->inner.alloc(parking->inner.ctx, size);
    if (start != NULL && parking->recording) record(parking, (uintptr_t)start, size);
    return start;
}

static void arena_free(void *context, void *start, size_t size)
{
    struct parking *parking = context;
    if (parking->recording) forget(parking, (uintptr_t)start, size);
    parking->inner.free(parking->inner.ctx, start, size);
}

/* Per process; NULL before memory_prepare_parking. */
static struct parking *prepared;

/* `prepared`; NULL also if another arena allocator was installed since. */
static struct parking *find_parking(void)
{
    return find_arena_allocator().alloc == arena_alloc ? prepared : NULL;
}

bool parking_is_prepared(void) { return find_parking() != NULL; }

/* ---- before the app is imported ------------------------------------------------------------------------------- */

/* Start of the ELF object that contains an address; NULL: none. */
static void *object_of(const void *address)
{
    Dl_info info;
    return address != NULL && dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* Whether an object defines malloc. A program linked to a fixed address, such as Debian's Python, has an entry for each external
 * function whose address it takes, but that is not a definition. */
static bool defines_malloc(const struct link_map *object)
{
    void *handle = dlopen(object->l_name, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL) return false;
    Dl_info info;
    ElfW(Sym) *symbol = NULL;
    void *found = dlsym(handle, "malloc"); /* in the object or its dependencies */
    const bool defined = found != NULL && dladdr1(found, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol != NULL && symbol->st_shndx != SHN_UNDEF;
    dlclose(handle);
    return defined && info.dli_fbase == object_of(object->l_ld);
}

/* The first object that defines malloc counts, in load order. */
static bool malloc_is_of_glibc(void)
{
    struct link_map *object = NULL;
    void *program = dlopen(NULL, RTLD_LAZY);
    if (program == NULL) return false;
    dlinfo(program, RTLD_DI_LINKMAP, &object);
    while (object != NULL && !defines_malloc(object)) object = object->l_next;
    dlclose(program);
    return object != NULL && object_of(object->l_ld) == object_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
}

bool pymalloc_is_in_use(void)
{
#ifdef WITH_PYMALLOC
    PyMemAllocatorEx raw, object;
    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &object);
    return object.malloc != raw.malloc;
#else
    return false;
#endif
}

static const char *unsuitable(void)
{
#ifdef Py_GIL_DISABLED
    return "free-threaded Python keeps its objects in an allocator of its own";
#endif
    if (!malloc_is_of_glibc()) return "malloc is not that of the C library but one that was preloaded";
    if (!pymalloc_is_in_use()) return "Python's own allocator is switched off";
    return NULL;
}

/* prepare_parking(): records arenas from now on, and keeps malloc's large blocks in its heap until park(). Returns None.
 * RuntimeError: parking is impossible here. Further calls have no effect. */
PyObject *memory_prepare_parking(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    const char *why = unsuitable();
    if (why != NULL) {
        PyErr_SetString(PyExc_RuntimeError, why);
        return NULL;
    }
    if (prepared != NULL) Py_RETURN_NONE;
    struct parking *parking = mmap(NULL, sizeof *parking, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (parking == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
    if (find_early_pages(&parking->early) < 0) {
        munmap(parking, sizeof *parking);
        return NULL;
    }
    PyObject_GetArenaAllocator(&parking->inner);
    parking->recording = true;
    PyObjectArenaAllocator recorder = {parking, arena_alloc, arena_free};
    PyObject_SetArenaAllocator(&recorder);
    prepared = parking;
    mallopt(M_MMAP_MAX, 0);
    Py_RETURN_NONE;
}

/* cancel_parking(): the process is not going to park. Arenas are not recorded any more, and malloc maps large blocks again. Returns
 * None. Does nothing if parking was not prepared, or has been tried. */
PyObject *memory_cancel_parking(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct parking *parking = find_parking();
    if (parking != NULL && parking->recording) {
        parking->recording = false;
        mallopt(M_MMAP_MAX, MMAP_MAX);
    }
    Py_RETURN_NONE;
}

/* ---- the file, while threads are held: no malloc ----------------------------------------------------------------- */

static int write_piece(int fd, struct range piece, off_t offset)
{
    while (piece.start < piece.end) {
        ssize_t n = pwrite(fd, (void *)piece.start, size_of(piece), offset);
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        piece.start += (size_t)n;
        offset += n;
    }
    return 0;
}

/* Writes all pieces, and syncs them to the disk: lost data could not be read back. Returns 0 or an errno. */
static int write_pieces(const struct parking *parking, int fd)
{
    off_t offset = 0;
    for (size_t i = 0; i < parking->n_pieces; i++) {
        int error = write_piece(fd, parking->pieces[i], offset);
        if (error != 0) return error;
        offset += (off_t)size_of(parking->pieces[i]);
    }
    return fsync(fd) < 0 ? errno : 0;
}

/* Whether a piece is still mapped after a failed mmap(2), as with too many mappings. */
static bool is_mapped(struct range piece) { return msync((void *)piece.start, size_of(piece), MS_ASYNC) == 0; }

/* Restores an unmapped piece from the file. */
static void restore(int fd, struct range piece, off_t offset)
{
    const int flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS;
    if (mmap((void *)piece.start, size_of(piece), PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) abort();
    while (piece.start < piece.end) {
        ssize_t n = pread(fd, (void *)piece.start, size_of(piece), offset);
        if (n <= 0) abort(); /* the process cannot continue */
        piece.start += (size_t)n;
        offset += n;
    }
}

size_t map_piece(int fd, struct range piece, off_t offset, int advice)
{
    void *start = (void *)piece.start;
    if (mmap(start, size_of(piece), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, offset) == start) {
        madvise(start, size_of(piece), advice);
        return size_of(piece);
    }
    if (!is_mapped(piece)) restore(fd, piece, offset);
    return 0;
}

static size_t map_pieces(const struct parking *parking, int fd)
{
    size_t mapped = 0;
    off_t offset = 0;
    for (size_t i = 0; i < parking->n_pieces; i++) {
        mapped += map_piece(fd, parking->pieces[i], offset, MADV_RANDOM); /* reading a page does not load its neighbours */
        offset += (off_t)size_of(parking->pieces[i]);
    }
    return mapped;
}

/* For a file in memory: moves a little at a time, so that little exists twice. Returns 0 or an errno; then the remaining
 * pieces are not moved. */
static int move_pieces(const struct parking *parking, int fd, size_t *moved)
{
    off_t offset = 0;
    for (size_t i = 0; i < parking->n_pieces; i++) {
        struct range piece = parking->pieces[i], part = piece;
        for (; part.start < piece.end; part.start = part.end) {
            part.end = piece.end - part.start > MOVED_AT_ONCE ? part.start + MOVED_AT_ONCE : piece.end;
            int error = write_piece(fd, part, offset);
            if (error != 0) return error;
            *moved += map_piece(fd, part, offset, MADV_POPULATE_READ); /* all of it still counts as memory of this process */
            offset += (off_t)size_of(part);
        }
    }
    return 0;
}

bool was_parked(uintptr_t at, off_t offset)
{
    const struct parking *parking = prepared;
    off_t begin = 0;
    for (size_t i = 0; parking != NULL && i < parking->n_pieces; i++) {
        struct range piece = parking->pieces[i];
        if (piece.start <= at && at < piece.end) return offset == begin + (off_t)(at - piece.start);
        begin += (off_t)size_of(piece);
    }
    return false;
}

/* ---- parking -------------------------------------------------------------------------------------------------- */

static bool on_disk;

bool is_parked_on_disk(void) { return on_disk; }

/* Why nothing was parked: an errno, or a reason; about a thread unless thread is 0. */
struct obstacle {
    int error;
    const char *why;
    pid_t thread;
};

/* A thread whose stack is in parked memory would keep writing to it. */
static struct obstacle stack_obstacle(const struct parking *parking)
{
    const struct hold *hold = &parking->hold;
    for (uint32_t i = 0; i < hold->n; i++) {
        if (is_known(parking, hold->threads[i].stack)) return (struct obstacle){.why = "has its stack in the heap", .thread = hold->threads[i].id};
    }
    uintptr_t here = (uintptr_t)&hold;
    return (struct obstacle){.why = is_known(parking, here) ? "the stack lies in the heap" : NULL};
}

static int park_pieces(const struct parking *parking, int fd, size_t *parked)
{
    off_t size = 0;
    for (size_t i = 0; i < parking->n_pieces; i++) size += (off_t)size_of(parking->pieces[i]);
    /* Reserves space where the file system can, so that a full disk fails before anything is written. */
    if (size > 0 && fallocate(fd, 0, 0, size) < 0 && errno != EOPNOTSUPP) return errno;
    int error = write_pieces(parking, fd);
    if (error == 0) *parked = map_pieces(parking, fd);
    return error;
}

/* Moves pieces into a file. Returns 0 or an errno, and adds the bytes mapped to *bytes. */
typedef int way(const struct parking *parking, int fd, size_t *bytes);

/* Holds every other thread meanwhile. */
static struct obstacle park_all(struct parking *parking, int fd, uintptr_t first_break, way *into, size_t *parked)
{
    find_known(parking, first_break);
    struct obstacle obstacle = stack_obstacle(parking);
    if (obstacle.why != NULL) return obstacle;
    int error = find_pieces(parking);
    if (error == 0) error = into(parking, fd, parked);
    return (struct obstacle){.error = error};
}

void raise_refusal(const char *why, pid_t thread)
{
    char path[64], name[32] = "";
    if (thread == 0) {
        PyErr_SetString(PyExc_RuntimeError, why);
        return;
    }
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)thread);
    FILE *comm = fopen(path, "re");
    if (comm != NULL && fgets(name, sizeof name, comm) != NULL) name[strcspn(name, "\n")] = '\0';
    if (comm != NULL) fclose(comm);
    PyErr_Format(PyExc_RuntimeError, "thread %d (%s) %s", (int)thread, name, why);
}

static void raise_obstacle(struct obstacle obstacle)
{
    if (obstacle.error != 0) {
        errno = obstacle.error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        raise_refusal(obstacle.why, obstacle.thread);
    }
}

/* Returns the bytes parked, or NULL with an exception. */
static PyObject *park_into(PyObject *arg, way *into)
{
    int fd = PyObject_AsFileDescriptor(arg);
    if (fd < 0) return NULL;
    struct parking *parking = find_parking();
    if (parking == NULL || !parking->recording) {
        const char *why = unsuitable();
        PyErr_SetString(PyExc_RuntimeError, why ? why : parking ? "it was tried before" : "nothing was prepared for it");
        return NULL;
    }
    size_t parked = 0;
    uintptr_t first_break = find_first_break();
    parking->variables = find_variables();
    const struct range core = find_core();
    struct hold_refusal refusal = hold_threads(&parking->hold, core, PATIENCE);
    struct obstacle obstacle = {.why = refusal.why, .thread = refusal.thread};
    if (refusal.why == NULL) {
        obstacle = park_all(parking, fd, first_break, into, &parked);
        release_threads(&parking->hold);
    }
    parking->recording = false;
    mallopt(M_MMAP_MAX, MMAP_MAX);
    if (obstacle.error != 0 || obstacle.why != NULL) {
        raise_obstacle(obstacle);
        return NULL;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* keeps the page cache free of pages not needed yet */
    return PyLong_FromSize_t(parked);
}

/* park(fd) -> int: moves the heap into the empty file fd, from its start, maps the file, and returns the bytes parked. Call it
 * once. The file may be closed afterwards, unless repark() needs it.
 * OSError: of the file. RuntimeError: any other reason. On error nothing has changed. */
PyObject *memory_park(PyObject *Py_UNUSED(module), PyObject *fd)
{
    PyObject *parked = park_into(fd, park_pieces);
    if (parked != NULL) on_disk = true;
    return parked;
}

/* share(fd) -> int: the same with a file in memory. OSError: out of memory; part of the heap may be in the file. */
PyObject *memory_share(PyObject *Py_UNUSED(module), PyObject *fd) { return park_into(fd, move_pieces); }

/* file_system(fd) -> int: the magic number of a file's file system, as in statfs(2). */
PyObject *memory_file_system(PyObject *Py_UNUSED(module), PyObject *arg)
{
    struct statfs about;
    int fd = PyObject_AsFileDescriptor(arg);
    if (fd < 0) return NULL;
    if (fstatfs(fd, &about) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromUnsignedLong((unsigned long)about.f_type & 0xffffffff);
}
