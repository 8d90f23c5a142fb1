/* memory_api.h: what saltare._core takes of saltare._memory.
 *
 * Plain C, no Python.h. Both include it: saltare._memory fills the table in and offers it as a capsule, saltare._core calls what is
 * in it. They are built apart, so the table has a version: whoever changes anything here raises it. The core checks it when it is
 * imported, if saltare._memory is there by then, and when it is given the capsule; it raises ImportError. */
#ifndef SALTARE_MEMORY_API_H
#define SALTARE_MEMORY_API_H

#include <stddef.h>
#include <stdint.h>

#define SALTARE_MEMORY_API_VERSION 1

/* The name of the capsule, and of the attribute that it is. */
#define SALTARE_MEMORY_API "saltare._memory.API"

struct saltare_memory_api {
    uint32_t version; /* in every version the first field */

    /* Drops from memory the pages of read-only segments of mapped files, and what deep calls have left of the main thread's stack.
     * The caller is about to wait, in code that lies in the objects which hold n addresses. What was dropped of these objects
     * comes back on the way to the wait, so the last step before it may drop it once more.
     * Threads: with the GIL, for the dynamic linker's lock must not be held in a fork.
     * Owns: addresses and ranges are the caller's.
     * Units: ranges has room for `room` pairs of addresses, of the first byte and behind the last one.
     * Returns: how many pairs it has written. */
    size_t (*release_before_wait)(const void *const *addresses, size_t n, uintptr_t *ranges, size_t room);
};

#endif
