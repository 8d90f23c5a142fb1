/* memory_api.h: the interface of saltare._memory for saltare._core.
 *
 * Plain C, no Python.h. Both include it: saltare._memory fills in the table and exports it as a capsule, saltare._core calls its
 * functions. They are built separately, so the table has a version: raise it with every change here. The core checks the version
 * at import, if saltare._memory is already imported, and when it gets the capsule; it raises ImportError. */
#ifndef SALTARE_MEMORY_API_H
#define SALTARE_MEMORY_API_H

#include <stddef.h>
#include <stdint.h>

#define SALTARE_MEMORY_API_VERSION 1

/* The name of the capsule and of its attribute. */
#define SALTARE_MEMORY_API "saltare._memory.API"

struct saltare_memory_api {
    uint32_t version; /* the first field in every version */

    /* Drops from memory the pages of read-only segments of mapped files, and unused pages of the main thread's stack. The caller
     * is about to wait; the objects that contain the n addresses hold the code that runs until then. That code brings pages of
     * these objects back, so the caller may drop the returned ranges again just before it waits.
     * Threads: with the GIL, since the dynamic linker's lock must not be held in a fork.
     * Owns: addresses and ranges are the caller's.
     * Units: ranges has room for `room` pairs of addresses: of the first byte, and after the last one.
     * Returns: how many pairs it has written. */
    size_t (*release_before_wait)(const void *const *addresses, size_t n, uintptr_t *ranges, size_t room);
};

#endif
