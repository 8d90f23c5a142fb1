/* Holding every other thread of the process still, in the handler of a signal.  per process
 *
 * Go's threads are held like all others. They write to Go's own heap, but also to malloc's: a thread that Go starts takes
 * its record and the table of its thread-local variables from there.
 *
 * A thread within a system call is interrupted and goes on with it later (SA_RESTART); one in a disk access is waited for.
 * From the first thread that is held to the last that is released nothing here may call malloc or touch a Python object. */
#include "_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A thread that is not held by then hangs in the kernel; on a busy machine others take their time. */
#define PATIENCE_NS 5000000000LL
/* One that blocks signals for longer than it takes to make a thread does so for good. */
#define DEAF_NS 500000000LL
/* The list of threads is looked at again after so long, or when one more is held. */
#define LOOK_AGAIN_NS 1000000L

/* ---- the held ------------------------------------------------------------------------------------------------- */

static void futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* On the thread's alternate stack if it has one, as Go's goroutines need it. */
static void on_hold(int Py_UNUSED(number), siginfo_t *info, void *Py_UNUSED(context))
{
    int saved = errno;
    struct held_thread *thread = info->si_value.sival_ptr;
    if (info->si_code != SI_QUEUE || info->si_pid != getpid() || thread == NULL) return; /* nobody of ours sent it */
    struct hold *hold = thread->hold;
    thread->stack = (uintptr_t)&saved;
    atomic_store(&thread->held, 1);
    atomic_fetch_add(&hold->arrived, 1);
    futex(&hold->arrived, FUTEX_WAKE, 1, NULL);
    while (!atomic_load(&hold->released)) futex(&hold->released, FUTEX_WAIT, 0, NULL);
    atomic_fetch_add(&hold->gone, 1);
    errno = saved;
}

/* ---- the list of threads -------------------------------------------------------------------------------------- */

/* Reads a file of /proc, up to size - 1 bytes, and ends it with a NUL. */
static bool read_file(int folder, const char *path, char *text, size_t size)
{
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number behind a word of a status file; 0 when it is not there. */
static unsigned long long number_in(const char *text, const char *word, int base)
{
    const char *found = strstr(text, word);
    return found == NULL ? 0 : strtoull(found + strlen(word), NULL, base);
}

static const char DEAF[] = "blocks signals";

static bool is_blocked(int tasks, pid_t id, int signal)
{
    char path[32], text[4096];
    snprintf(path, sizeof path, "%d/status", (int)id);
    if (!read_file(tasks, path, text, sizeof text)) return false; /* it has ended */
    return number_in(text, "\nSigBlk:", 16) >> (signal - 1) & 1;
}

/* How many threads the kernel counts: its list may pass over one while another ends. */
static uint64_t threads_of_process(int tasks)
{
    char text[4096];
    return read_file(tasks, "../status", text, sizeof text) ? number_in(text, "\nThreads:", 10) : 0;
}

/* ---- holding -------------------------------------------------------------------------------------------------- */

static struct held_thread *find_thread(struct hold *hold, pid_t id)
{
    for (uint32_t i = 0; i < hold->n; i++) {
        if (hold->threads[i].id == id) return &hold->threads[i];
    }
    return NULL;
}

/* Sends the signal, with the thread's record as its value. Returns 0 or an errno. */
static int send_signal(struct hold *hold, pid_t id)
{
    struct held_thread *thread = &hold->threads[hold->n];
    *thread = (struct held_thread){.hold = hold, .id = id};
    siginfo_t info = {.si_signo = hold->signal, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = thread;
    hold->n++;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), id, hold->signal, &info) == 0) return 0;
    hold->n--;
    return errno;
}

/* Asks a thread to hold still unless it does. Returns whether it is to be waited for; *refusal says why it may be in vain. */
static bool ask(struct hold *hold, int tasks, pid_t id, struct hold_refusal *refusal)
{
    struct held_thread *thread = find_thread(hold, id);
    if (thread != NULL) {
        if (atomic_load(&thread->held)) return false;
        *refusal = (struct hold_refusal){"does not react to signals", id};
        return true;
    }
    if (hold->n == MOST_THREADS) {
        *refusal = (struct hold_refusal){"is one too many", id};
        return true;
    }
    if (is_blocked(tasks, id, hold->signal)) { /* for good, or for a moment as while a thread is made */
        *refusal = (struct hold_refusal){DEAF, id};
        return true;
    }
    int error = send_signal(hold, id);
    if (error == ESRCH) return false;
    if (error != 0) *refusal = (struct hold_refusal){"cannot be sent a signal", id};
    return true;
}

struct entry { /* of getdents64(2) */
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Asks all that the kernel lists. Returns whether all are held. */
static bool ask_all(struct hold *hold, int tasks, pid_t self, struct hold_refusal *refusal)
{
    _Alignas(struct entry) char entries[4096];
    bool all = true;
    long n;
    lseek(tasks, 0, SEEK_SET);
    while ((n = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            pid_t id = (pid_t)strtol(entry->name, NULL, 10);
            if (id > 0 && id != self && ask(hold, tasks, id, refusal)) all = false;
            at += entry->size;
        }
    }
    return all && n == 0;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct hold_refusal hold_all(struct hold *hold, int tasks)
{
    const struct timespec look_again = {0, LOOK_AGAIN_NS};
    const int64_t begun = now_ns();
    const pid_t self = (pid_t)syscall(SYS_gettid);
    for (;;) {
        struct hold_refusal refusal = {"the list of threads changes all the time", 0};
        uint32_t arrived = atomic_load(&hold->arrived);
        bool all = ask_all(hold, tasks, self, &refusal);
        if (all && threads_of_process(tasks) == (uint64_t)atomic_load(&hold->arrived) + 1) return (struct hold_refusal){NULL, 0};
        if (now_ns() - begun > (refusal.why == DEAF ? DEAF_NS : PATIENCE_NS)) return refusal;
        futex(&hold->arrived, FUTEX_WAIT, arrived, &look_again);
    }
}

/* The highest real-time signal that nobody uses; 0 when there is none. */
static int free_signal(struct sigaction *before)
{
    for (int number = SIGRTMAX; number >= SIGRTMIN; number--) {
        if (sigaction(number, NULL, before) == 0 && !(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_DFL) return number;
    }
    return 0;
}

struct hold *new_hold(void)
{
    void *memory = mmap(NULL, sizeof(struct hold), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void free_hold(struct hold *hold)
{
    for (int tries = 0; atomic_load(&hold->gone) < hold->n; tries++) {
        if (tries == 1000) return;
        sched_yield();
    }
    munmap(hold, sizeof *hold);
}

struct hold_refusal hold_threads(struct hold *hold)
{
    struct sigaction action = {.sa_sigaction = on_hold, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigset_t all;
    hold->signal = free_signal(&hold->before);
    if (hold->signal == 0) return (struct hold_refusal){"every real-time signal is in use", 0};
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0) return (struct hold_refusal){"/proc/self/task cannot be read", 0};
    sigfillset(&action.sa_mask);
    sigfillset(&all);
    sigaction(hold->signal, &action, NULL);
    pthread_sigmask(SIG_SETMASK, &all, &hold->mask);
    struct hold_refusal refusal = hold_all(hold, tasks);
    close(tasks);
    if (refusal.why != NULL) release_threads(hold);
    return refusal;
}

void release_threads(struct hold *hold)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    atomic_store(&hold->released, 1);
    futex(&hold->released, FUTEX_WAKE, INT32_MAX, NULL);
    sigaction(hold->signal, &ignore, NULL); /* drops what is pending, which by default would end the process */
    sigaction(hold->signal, &hold->before, NULL);
    pthread_sigmask(SIG_SETMASK, &hold->mask, NULL);
}
