/* Which memory is parked.
 *
 * Only known memory: pymalloc's arenas, recorded by an arena allocator since before the app was imported, malloc's heap below
 * the break, and the variables of the interpreter, mainly its built-in types. The kernel must confirm that it is private and
 * writable. No other mapping is parked:
 *
 *   - an allocator bundled in an extension expects zeros after MADV_DONTNEED, but a file mapping brings the old bytes back;
 *   - mremap(2) would move a block mapped by malloc past its end in the file. So until parking malloc maps none (M_MMAP_MAX):
 *     its large blocks lie in the heap too;
 *   - stacks, thread-local storage and Go's heap belong to others.
 *
 * malloc and pymalloc rely on neither: free pages that malloc_trim(3) drops hold nothing, and new memory from brk(2) or mmap(2)
 * is anonymous and zero as before. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Untouched pages cost nothing unless parked. A hole of at least this many pages is worth two more mappings. */
#define HOLE_PAGES 16

/* ---- before threads are held: may allocate -------------------------------------------------------------------- */

uintptr_t find_first_break(void)
{
    char text[4096];
    FILE *stat = fopen("/proc/self/stat", "re");
    size_t n = stat ? fread(text, 1, sizeof text - 1, stat) : 0;
    if (stat != NULL) fclose(stat);
    text[n] = '\0';
    char *field = strrchr(text, ')'); /* end of field 2, the name */
    for (int i = 2; field != NULL && i < 47; i++) field = strchr(field + 1, ' ');
    return field ? strtoul(field, NULL, 10) : 0;
}

/* Finds the writable segment of the object with the interpreter: libpython, or the program. */
static int look_for_variables(struct dl_phdr_info *object, size_t Py_UNUSED(size), void *variables)
{
    const uintptr_t page = PAGE, one = (uintptr_t)&PyType_Type;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_W) || one < start || one >= end) continue;
        *(struct range *)variables = (struct range){start & ~(page - 1), (end + page - 1) & ~(page - 1)};
        return 1;
    }
    return 0;
}

struct range find_variables(void)
{
    struct range variables = {0, 0};
    dl_iterate_phdr(look_for_variables, &variables);
    return variables;
}

/* ---- while threads are held: no malloc ------------------------------------------------------------------------ */

static void sort(struct range *ranges, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < n; i++) {
            struct range one = ranges[i];
            size_t at = i;
            for (; at >= gap && ranges[at - gap].start > one.start; at -= gap) ranges[at] = ranges[at - gap];
            ranges[at] = one;
        }
    }
}

void find_known(struct parking *parking, uintptr_t first_break)
{
    struct range heap = {(first_break + PAGE - 1) & ~(PAGE - 1), (uintptr_t)sbrk(0) & ~(PAGE - 1)};
    parking->n_known = 0;
    if (first_break != 0 && heap.start < heap.end) parking->known[parking->n_known++] = heap;
    for (size_t i = 0; i < MOST_ARENAS; i++) {
        uintptr_t start = atomic_load(&parking->arenas[i].start);
        if (start > CLAIMED) parking->known[parking->n_known++] = (struct range){start, start + parking->arenas[i].size};
    }
    if (parking->variables.start != 0) parking->known[parking->n_known++] = parking->variables;
    parking->n_known += early_pages_outside(&parking->early, heap, parking->known + parking->n_known);
    sort(parking->known, parking->n_known);
}

bool is_known(const struct parking *parking, uintptr_t address)
{
    for (size_t i = 0; i < parking->n_known; i++) {
        if (parking->known[i].start <= address && address < parking->known[i].end) return true;
    }
    return false;
}

static void add_piece(struct parking *parking, struct range piece)
{
    struct range *last = parking->n_pieces > 0 ? &parking->pieces[parking->n_pieces - 1] : NULL;
    if (last != NULL && last->end == piece.start) {
        last->end = piece.end;
    } else if (parking->n_pieces < MOST_PIECES) {
        parking->pieces[parking->n_pieces++] = piece;
    }
}

/* Adds the resident pages of a range, including small holes. */
static void add_resident(struct parking *parking, struct range range)
{
    unsigned char resident[1024];
    const uintptr_t page = PAGE;
    struct range piece = {0, 0};
    for (uintptr_t at = range.start; at < range.end; at += sizeof resident * page) {
        size_t n = (range.end - at) / page < sizeof resident ? (range.end - at) / page : sizeof resident;
        if (mincore((void *)at, n * page, resident) < 0) return;
        for (size_t i = 0; i < n; i++) {
            if (!(resident[i] & 1)) continue;
            uintptr_t start = at + i * page;
            if (piece.end != 0 && start - piece.end >= HOLE_PAGES * page) {
                add_piece(parking, piece);
                piece.end = 0;
            }
            if (piece.end == 0) piece.start = start;
            piece.end = start + page;
        }
    }
    if (piece.end != 0) add_piece(parking, piece);
}

static bool is_zero(const unsigned char *page, size_t size) { return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0; }

static void drop(struct range zeros)
{
    if (size_of(zeros) >= HOLE_PAGES * PAGE) madvise((void *)zeros.start, size_of(zeros), MADV_DONTNEED);
}

/* Drops long runs of zeros in anonymous memory, which reads as zero again. A table that has just doubled, such as that of
 * interned strings, has such runs; in the file they would be read and kept. */
static void drop_zeros(struct range range)
{
    unsigned char resident[1024];
    const uintptr_t page = PAGE;
    struct range zeros = {range.start, range.start};
    for (uintptr_t at = range.start; at < range.end; at += page) {
        const size_t i = (at - range.start) / page % sizeof resident, left = range.end - at;
        if (i == 0 && mincore((void *)at, left < sizeof resident * page ? left : sizeof resident * page, resident) < 0) break;
        if (resident[i] & 1 && is_zero((const unsigned char *)at, page)) {
            if (zeros.end != at) zeros.start = at;
            zeros.end = at + page;
        } else {
            drop(zeros);
            zeros.start = zeros.end = at + page;
        }
    }
    drop(zeros);
}

static void add_common(struct parking *parking, struct mapping mapping, struct range known)
{
    if (known.start < mapping.range.start) known.start = mapping.range.start;
    if (known.end > mapping.range.end) known.end = mapping.range.end;
    if (known.start >= known.end) return;
    if (mapping.inode == 0) drop_zeros(known);
    add_resident(parking, known);
}

static void look_at_mapping(struct mapping mapping, void *context)
{
    struct parking *parking = context;
    if (mapping.inode != 0) { /* initialised variables are mapped from the object's file */
        add_common(parking, mapping, parking->variables);
        return;
    }
    for (size_t i = 0; i < parking->n_known; i++) add_common(parking, mapping, parking->known[i]);
}

/* A line of /proc/self/maps: "start-end rights offset major:minor inode path". Returns whether the mapping is private, readable
 * and writable. */
static bool read_line(const char *line, struct mapping *mapping)
{
    char *at;
    mapping->range.start = strtoul(line, &at, 16);
    mapping->range.end = strtoul(at + 1, &at, 16);
    const char *rights = at + 1;
    if (strncmp(rights, "rw-p ", 5) != 0) return false;
    mapping->offset = (off_t)strtoull(rights + 5, &at, 16);
    unsigned major = (unsigned)strtoul(at + 1, &at, 16), minor = (unsigned)strtoul(at + 1, &at, 16);
    mapping->device = makedev(major, minor);
    mapping->inode = strtoull(at + 1, NULL, 10);
    return true;
}

int each_line(const char *path, void (*look)(const char *line, void *context), void *context)
{
    char text[8192]; /* the longest line has a path of 4,096 bytes */
    size_t held = 0; /* bytes of an incomplete line */
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    while ((n = read(fd, text + held, sizeof text - 1 - held)) > 0) {
        text[held + (size_t)n] = '\0';
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            look(line, context);
        }
        held = strlen(line);
        memmove(text, line, held);
    }
    int error = n < 0 ? errno : 0;
    close(fd);
    return error;
}

struct looker {
    void (*look)(struct mapping mapping, void *context);
    void *context;
};

static void look_at_line(const char *line, void *context)
{
    const struct looker *looker = context;
    struct mapping mapping;
    if (read_line(line, &mapping)) looker->look(mapping, looker->context);
}

int each_mapping(void (*look)(struct mapping mapping, void *context), void *context)
{
    struct looker looker = {look, context};
    return each_line("/proc/self/maps", look_at_line, &looker);
}

int find_pieces(struct parking *parking)
{
    parking->n_pieces = 0;
    return each_mapping(look_at_mapping, parking);
}
