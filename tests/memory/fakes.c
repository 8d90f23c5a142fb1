/* Preloaded library: system calls used by parking, with results set by the environment.
 *
 * FAKE_FSTATFS=magic   every file is on that kind of file system
 * FAKE_FSYNC=errno     fsync(2) fails
 * FAKE_MMAP=n          the n-th mapping of a file over existing memory fails, and unmaps that memory
 * FAKE_MMAP=-n         from the n-th on every mapping over existing memory fails, as with too many mappings */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* as in Python's headers: the names end in 64 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static long asked(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? 0 : strtol(value, NULL, 0);
}

int fstatfs(int fd, struct statfs *about)
{
    long status = syscall(SYS_fstatfs, fd, about);
    if (status == 0 && asked("FAKE_FSTATFS") != 0) about->f_type = asked("FAKE_FSTATFS");
    return (int)status;
}

int fsync(int fd)
{
    if (asked("FAKE_FSYNC") == 0) return (int)syscall(SYS_fsync, fd);
    errno = (int)asked("FAKE_FSYNC");
    return -1;
}

static long fake_mmap;

/* Read once: a failing mapping may unmap `environ` itself. */
__attribute__((constructor)) static void ask_for_mmap(void) { fake_mmap = asked("FAKE_MMAP"); }

void *mmap(void *start, size_t size, int rights, int flags, int fd, off_t offset)
{
    static long count;
    const long n = fake_mmap;
    count += flags & MAP_FIXED && fd >= 0 && rights == (PROT_READ | PROT_WRITE);
    if (flags & MAP_FIXED && ((fd >= 0 && n > 0 && count == n) || (n < 0 && count >= -n))) {
        if (n > 0) munmap(start, size);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, start, size, rights, flags, fd, offset);
}
