/* Threads like those of native libraries: each sleeps in one kind of call, and counts how often the call fails with EINTR.
 *
 * The environment variable SLEEPERS_COUNTS names the file for the counts, two longs for each kind; all processes that load the
 * library share them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_MS 4 /* short enough for many rounds, long enough that a thread sleeps most of the time */

struct counts {
    _Atomic long rounds, interrupted;
};

static struct counts *counts; /* by kind */

static int sleeps_in_poll(void) { return poll(NULL, 0, SLEEP_MS); }

static int sleeps_in_epoll_wait(void)
{
    static _Thread_local int fd = -1;
    struct epoll_event event;
    if (fd < 0) fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_wait(fd, &event, 1, SLEEP_MS);
}

static int sleeps_in_select(void)
{
    struct timeval time = {0, SLEEP_MS * 1000};
    return select(0, NULL, NULL, NULL, &time);
}

static int sleeps_in_nanosleep(void) { return nanosleep(&(struct timespec){0, SLEEP_MS * 1000000}, NULL); }

static int sleeps_in_usleep(void) { return usleep(SLEEP_MS * 1000); }

static int sleeps_in_sem_timedwait(void)
{
    sem_t nobody;
    struct timespec until;
    sem_init(&nobody, 0, 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SLEEP_MS * 1000000;
    if (until.tv_nsec >= 1000000000) until = (struct timespec){until.tv_sec + 1, until.tv_nsec - 1000000000};
    return sem_timedwait(&nobody, &until);
}

static int sleeps_in_recv(void)
{
    static _Thread_local int pair[2] = {-1, -1};
    char byte;
    if (pair[0] < 0) {
        const struct timeval timeout = {0, SLEEP_MS * 1000};
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    }
    return (int)recv(pair[0], &byte, 1, 0);
}

/* Two threads wake each other: each waits without a timeout, then sleeps in poll(2). */
static sem_t turns[2];

static int takes_turns(int which)
{
    while (sem_wait(&turns[which]) < 0) {
        if (errno == EINTR) return -1;
    }
    int result = poll(NULL, 0, 1);
    sem_post(&turns[!which]);
    return result;
}

static int takes_first_turn(void) { return takes_turns(0); }
static int takes_second_turn(void) { return takes_turns(1); }

static const struct {
    const char *name;
    int (*sleeps)(void);
} kinds[] = {
    {"poll", sleeps_in_poll},
    {"epoll_wait", sleeps_in_epoll_wait},
    {"select", sleeps_in_select},
    {"nanosleep", sleeps_in_nanosleep},
    {"usleep", sleeps_in_usleep},
    {"sem_timedwait", sleeps_in_sem_timedwait},
    {"recv", sleeps_in_recv},
    {"turns", takes_first_turn},
    {"other_turns", takes_second_turn},
};
#define KINDS (sizeof kinds / sizeof *kinds)

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SLEEPERS_COUNTS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, KINDS * sizeof *counts) < 0) abort();
    counts = mmap(NULL, KINDS * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    if (fd >= 0) close(fd);
    sem_init(&turns[0], 0, 1);
    sem_init(&turns[1], 0, 0);
}

static void *run(void *argument)
{
    const size_t kind = (size_t)argument;
    pthread_setname_np(pthread_self(), "sleeper");
    for (;;) {
        errno = 0;
        if (kinds[kind].sleeps() < 0 && errno == EINTR) atomic_fetch_add(&counts[kind].interrupted, 1);
        atomic_fetch_add(&counts[kind].rounds, 1);
    }
    return NULL;
}

static int find(const char *name)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        if (strcmp(kinds[kind].name, name) == 0) return (int)kind;
    }
    return -1;
}

/* Starts a thread of a kind; the thread never ends. Returns 0. */
int start_sleeper(const char *name)
{
    pthread_t thread;
    int kind = find(name);
    if (kind < 0 || pthread_create(&thread, NULL, run, (void *)(size_t)kind) != 0) return -1;
    return pthread_detach(thread);
}

long rounds_slept(const char *name) { return atomic_load(&counts[find(name)].rounds); }
long times_interrupted(const char *name) { return atomic_load(&counts[find(name)].interrupted); }
