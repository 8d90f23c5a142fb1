/* Threads like those of native libraries, and an allocator like those that they bundle. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK (256 * 1024)

static _Atomic int stop, ready;

/* ---- busy: allocates, writes and checks all the time, without the GIL ----------------------------------------- */

#define BLOCKS 512

static _Atomic long rounds, wrong;

static void fill(unsigned char *block, size_t size, unsigned char value) { memset(block, value, size); }

static int is_filled(const unsigned char *block, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (block[i] != value) return 0;
    }
    return 1;
}

static void *busy(void *argument)
{
    unsigned char *blocks[BLOCKS] = {0}, values[BLOCKS];
    size_t sizes[BLOCKS];
    unsigned seed = (unsigned)(uintptr_t)argument;
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) {
        int at = rand_r(&seed) % BLOCKS;
        if (blocks[at] != NULL && !is_filled(blocks[at], sizes[at], values[at])) atomic_fetch_add(&wrong, 1);
        free(blocks[at]);
        sizes[at] = (size_t)rand_r(&seed) % 5000 + 1;
        values[at] = (unsigned char)rand_r(&seed);
        blocks[at] = malloc(sizes[at]);
        fill(blocks[at], sizes[at], values[at]);
        atomic_fetch_add(&rounds, 1);
    }
    for (int at = 0; at < BLOCKS; at++) free(blocks[at]);
    return NULL;
}

long rounds_done(void) { return atomic_load(&rounds); }
long rounds_wrong(void) { return atomic_load(&wrong); }

/* ---- others --------------------------------------------------------------------------------------------------- */

static void *deaf(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_setname_np(pthread_self(), "deaf");
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) usleep(1000);
    return argument;
}

static void *idle(void *argument)
{
    sem_t never;
    sem_init(&never, 0, 0);
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) sem_wait(&never);
    return argument;
}

/* Suspended by the kernel until its child ends. */
static void *suspended(void *argument)
{
    pid_t child;
    atomic_fetch_add(&ready, 1);
    child = vfork();
    if (child == 0) {
        struct timespec time = {8, 0};
        nanosleep(&time, NULL);
        _exit(0);
    }
    return argument;
}

static int start(void *(*run)(void *), void *argument, int on_heap)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    int before = atomic_load(&ready);
    if (on_heap) pthread_attr_setstack(&attributes, aligned_alloc(4096, STACK), STACK);
    if (pthread_create(&thread, &attributes, run, argument) != 0) return -1;
    pthread_detach(thread);
    while (atomic_load(&ready) == before) usleep(100);
    usleep(20000);
    return 0;
}

int start_busy(int number) { return start(busy, (void *)(uintptr_t)number, 0); }
int start_deaf(void) { return start(deaf, NULL, 0); }
int start_on_heap(void) { return start(idle, NULL, 1); }
int start_suspended(void) { return start(suspended, NULL, 0); }
void stop_all(void) { atomic_store(&stop, 1); }

/* ---- a bundled allocator, which expects dropped memory to be zero --------------------------------------------- */

#define POOL (8 << 20)

static unsigned char *pool;

int pool_fill(void)
{
    pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED) return -1;
    memset(pool, 0xAB, POOL);
    return 0;
}

/* How many bytes are not zero after the pool was dropped. */
long pool_dirty_after_giving_up(void)
{
    long dirty = 0;
    madvise(pool, POOL, MADV_DONTNEED);
    for (size_t i = 0; i < POOL; i++) dirty += pool[i] != 0;
    return dirty;
}
