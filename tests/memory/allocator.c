/* Preloaded library: a malloc other than the C library's, as jemalloc, tcmalloc and mimalloc are used. */
#include <stddef.h>

void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size) { return __libc_malloc(size); }
void free(void *block) { __libc_free(block); }
void *calloc(size_t n, size_t size) { return __libc_calloc(n, size); }
void *realloc(void *block, size_t size) { return __libc_realloc(block, size); }
