/* saltare._memory: keeps a process small, through malloc and its file mappings.
 *
 * C only, and separate from the core, because a process that must not load Go needs it too. */
#include "memory.h"

#include "memory_api.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- malloc --------------------------------------------------------------------------------------------------- */

/* One arena, since Python's threads allocate under the GIL. The sizes are glibc's initial values. Setting them keeps them fixed;
 * otherwise they grow with use and keep freed memory.
 * Units: bytes. */
#define ARENAS 1
#define TRIM_THRESHOLD (128 * 1024)
#define TOP_PAD (128 * 1024)
#define MMAP_THRESHOLD (128 * 1024)

/* configure(): sets malloc options, and disables transparent huge pages, where one touched byte costs 2 MiB. Returns None. */
static PyObject *memory_configure(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    mallopt(M_TOP_PAD, TOP_PAD);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    Py_RETURN_NONE;
}

/* trim(): releases malloc's free memory to the system. Returns None. */
static PyObject *memory_trim(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    malloc_trim(0);
    Py_RETURN_NONE;
}

/* held() -> int: anonymous memory of the process, in bytes. */
static PyObject *memory_held(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) { return PyLong_FromSize_t(bytes_held()); }

/* heap() -> int: size of malloc's heap, in bytes; 0 if /proc does not show its start. */
static PyObject *memory_heap(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    static uintptr_t first_break;
    if (first_break == 0) first_break = find_first_break();
    return PyLong_FromSize_t(first_break == 0 ? 0 : (uintptr_t)sbrk(0) - first_break);
}

/* free_blocks() -> (n, bytes): malloc's free blocks. Visits each of them. */
static PyObject *memory_free_blocks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
    return Py_BuildValue("nn", (Py_ssize_t)info.ordblks, (Py_ssize_t)info.fordblks);
#else
    struct mallinfo info = mallinfo(); /* modulo 4 GiB */
    return Py_BuildValue("nn", (Py_ssize_t)(unsigned)info.ordblks, (Py_ssize_t)(unsigned)info.fordblks);
#endif
}

/* ---- file mappings --------------------------------------------------------------------------------------------
 *
 * Code and constants that only start-up needed are pages of files. Dropped from this process, they stay in the page
 * cache, and a minor fault brings back each page that is used again. Two sources must agree that a range may be dropped:
 *
 *   - the dynamic linker lists it as a segment of a loaded ELF object that was never writable. Its lock is held, so no
 *     other thread can unmap the object meanwhile; relocated data (RELRO) is part of a writable segment.
 *   - the kernel (maps, pagemap) lists it as a private, read-only mapping of a file, without anonymous or swapped pages. Such pages
 *     would show that something, such as a debugger or text relocations, has written to it.
 *
 * The core drops some ranges again a moment later, without a new check: those of objects that are never unloaded. */

/* Mapped, not allocated: the heap was just trimmed, and may be shared. Further mappings are not dropped. */
#define MOST_CLEAN 4096
#define MOST_SEGMENTS 16 /* read-only ones of one object; linkers create three */

/* Bits of an entry of pagemap(5). */
#define PRESENT (1ULL << 63)
#define SWAPPED (1ULL << 62)
#define OF_FILE (1ULL << 61)
#define ENTRIES 512 /* read together */

struct clean {
    struct range ranges[MOST_CLEAN]; /* private, read-only mappings of files */
    size_t n;
    int pagemap;
    struct range stack; /* of the main thread */
    size_t released;    /* bytes */
    struct way *way;
};

/* Code that runs between here and a wait: addresses in its objects, which are never unloaded, and the ranges dropped of these. */
struct way {
    const void *const *addresses;
    size_t n_addresses;
    struct range *ranges;
    size_t room, n_ranges;
};

/* A line of /proc/self/maps: "start-end rights offset device inode path". */
static void look_for_files(const char *line, void *context)
{
    struct clean *clean = context;
    char *at;
    uintptr_t start = strtoul(line, &at, 16), end = strtoul(at + 1, &at, 16);
    const char *rights = at + 1, *inode = rights + 5;
    if (rights[1] == '-' && rights[3] == 'p' && clean->n < MOST_CLEAN) {
        for (int fields = 0; fields < 2 && inode != NULL; fields++) inode = strchr(inode + 1, ' ');
        if (inode != NULL && strtoul(inode, NULL, 10) != 0) clean->ranges[clean->n++] = (struct range){start, end};
    } else if (strstr(rights, " [stack]") != NULL) {
        clean->stack = (struct range){start, end};
    }
}

static bool is_of_file(const struct clean *clean, struct range wanted)
{
    for (size_t i = 0; i < clean->n; i++) {
        if (clean->ranges[i].start <= wanted.start && wanted.end <= clean->ranges[i].end) return true;
    }
    return false;
}

/* Whether no page of a range was written to; false if /proc does not show it. */
static bool is_clean(const struct clean *clean, struct range wanted)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint64_t entries[ENTRIES];
    while (wanted.start < wanted.end) {
        const size_t left = size_of(wanted) / page, n = left < ENTRIES ? left : ENTRIES;
        const ssize_t size = (ssize_t)(n * sizeof *entries);
        if (pread(clean->pagemap, entries, (size_t)size, (off_t)(wanted.start / page * sizeof *entries)) != size) return false;
        for (size_t i = 0; i < n; i++) {
            if (entries[i] & SWAPPED || (entries[i] & PRESENT && !(entries[i] & OF_FILE))) return false;
        }
        wanted.start += n * page;
    }
    return true;
}

static bool is_on(const struct way *way, const struct dl_phdr_info *object)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        for (size_t k = 0; k < way->n_addresses; k++) {
            if ((uintptr_t)way->addresses[k] - (object->dlpi_addr + segment->p_vaddr) < segment->p_memsz) return true;
        }
    }
    return false;
}

/* The table of segments lies in the first segment, so it is read completely before that segment is dropped. */
static int release_object(struct dl_phdr_info *object, size_t Py_UNUSED(size), void *data)
{
    struct clean *clean = data;
    struct way *way = clean->way;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct range found[MOST_SEGMENTS];
    size_t n = 0;
    for (int i = 0; i < object->dlpi_phnum && n < MOST_SEGMENTS; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        struct range range = {start & ~(page - 1), (start + segment->p_filesz + page - 1) & ~(page - 1)};
        if (is_of_file(clean, range) && is_clean(clean, range)) found[n++] = range;
    }
    const bool on_way = is_on(way, object);
    for (size_t i = 0; i < n; i++) {
        if (madvise((void *)found[i].start, size_of(found[i]), MADV_DONTNEED) != 0) continue;
        clean->released += size_of(found[i]);
        if (on_way && way->n_ranges < way->room) way->ranges[way->n_ranges++] = found[i];
    }
    return 0;
}

/* Drops unused pages of the main thread's stack, which deep calls have left: those below this small frame and the frames of
 * its calls. Leaves the stacks of other threads alone. */
__attribute__((noinline)) static void release_stack(struct range stack)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t end = (here & ~(page - 1)) - page;
    if (here < stack.start || here >= stack.end || end <= stack.start) return;
    madvise((void *)stack.start, end - stack.start, MADV_DONTNEED);
}

/* Drops the pages of read-only ELF segments, and of the stack. Returns the size of the segments, in bytes; 0 if /proc cannot
 * be read.
 * Threads: with the GIL, since the dynamic linker's lock must not be held in a fork. */
static size_t release_files(struct way *way)
{
    struct clean *clean = mmap(NULL, sizeof *clean, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (clean == MAP_FAILED) return 0;
    clean->way = way;
    clean->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (each_line("/proc/self/maps", look_for_files, clean) == 0 && clean->pagemap >= 0) dl_iterate_phdr(release_object, clean);
    if (clean->pagemap >= 0) close(clean->pagemap);
    const struct range stack = clean->stack;
    const size_t released = clean->released;
    munmap(clean, sizeof *clean);
    release_stack(stack);
    return released;
}

/* release_files() -> int: the Python method. */
static PyObject *memory_release_files(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct way none = {0};
    return PyLong_FromSize_t(release_files(&none));
}

/* The same before a wait; see memory_api.h. */
static size_t release_before_wait(const void *const *addresses, size_t n, uintptr_t *ranges, size_t room)
{
    struct way way = {addresses, n, (struct range *)ranges, room, 0};
    release_files(&way);
    return way.n_ranges;
}

static const struct saltare_memory_api api = {.version = SALTARE_MEMORY_API_VERSION, .release_before_wait = release_before_wait};

static PyMethodDef memory_methods[] = {
    {"configure", memory_configure, METH_NOARGS, "configure(): settings of malloc for a small process."},
    {"trim", memory_trim, METH_NOARGS, "trim(): gives malloc's free memory back."},
    {"release_files", memory_release_files, METH_NOARGS,
     "release_files() -> bytes: drops what start-up touched of code and constants; what is used again comes back."},
    {"prepare_parking", memory_prepare_parking, METH_NOARGS, "prepare_parking(): what park() needs from before the app is imported."},
    {"cancel_parking", memory_cancel_parking, METH_NOARGS, "cancel_parking(): undoes prepare_parking()."},
    {"park", memory_park, METH_O, "park(fd) -> bytes: moves the heap into an empty file that is mapped in its place."},
    {"share", memory_share, METH_O, "share(fd) -> bytes: the same with a file that is memory."},
    {"record_counters", memory_record_counters, METH_NOARGS, "record_counters(): finds the counters in code objects, before park()."},
    {"start_fresh", memory_start_fresh, METH_NOARGS, "start_fresh(): what is written from now on lies together."},
    {"repark", memory_repark, METH_VARARGS,
     "repark(fd, pool, begin=0, pages=0) -> (bytes, next): releases pages that equal those of the file."},
    {"watch_arenas", memory_watch_arenas, METH_NOARGS, "watch_arenas(): what comes from now on is a burst's."},
    {"release_pools", memory_release_pools, METH_VARARGS,
     "release_pools(pools=0, stop=False) -> bytes, or None: drops what a burst has left free in arenas, so many pools a call."},
    {"in_use", memory_in_use, METH_NOARGS, "in_use() -> blocks: of pymalloc, that hold objects; 0 where that is not known."},
    {"held", memory_held, METH_NOARGS, "held() -> bytes: the process's own memory."},
    {"heap", memory_heap, METH_NOARGS, "heap() -> bytes: how large malloc's heap is."},
    {"free_blocks", memory_free_blocks, METH_NOARGS, "free_blocks() -> (n, bytes): what malloc has free."},
    {"file_system", memory_file_system, METH_O, "file_system(fd) -> int: the magic number of its file system."},
    {NULL},
};

static int memory_exec(PyObject *module)
{
    PyObject *capsule = PyCapsule_New((void *)(uintptr_t)&api, SALTARE_MEMORY_API, NULL);
    int status = capsule ? PyModule_AddObjectRef(module, strrchr(SALTARE_MEMORY_API, '.') + 1, capsule) : -1;
    Py_XDECREF(capsule);
    return status == 0 ? memory_add_sharing(module) : -1;
}

static PyModuleDef_Slot memory_slots[] = {{Py_mod_exec, (void *)(uintptr_t)memory_exec}, {0, NULL}};

static PyModuleDef memory_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "saltare._memory",
    .m_doc = "Settings of malloc, and pages released.",
    .m_methods = memory_methods,
    .m_slots = memory_slots,
};

PyMODINIT_FUNC PyInit__memory(void) { return PyModuleDef_Init(&memory_def); }
