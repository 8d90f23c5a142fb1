/* Holding every other thread of the process in a signal handler.
 *
 * A signal interrupts a sleeping system call, and the kernel restarts only some calls (signal(7)): poll(2), nanosleep(2) or a
 * recv(2) with a timeout return EINTR, which many libraries treat as an error. So a thread gets a signal only where it goes
 * unnoticed:
 *
 *   - the thread sleeps in a futex(2), private to the process and without a timeout, which SA_RESTART restarts;
 *   - or it sleeps in a system call of Go's runtime, in our core, which retries those itself.
 *
 * The thread must still sleep when the signal arrives. Each thread is examined twice. If both times all are in such a sleep
 * and none has run in between, there was a moment when all of them slept. From then on nothing can wake one: not a timeout, not
 * another process, since the futex is private; Go's threads wake only each other, and the caller wakes none. Otherwise no thread
 * is held, and the caller's work is skipped.
 *
 * Sleeping threads are held too, because one of them could handle a signal from outside.
 *
 * Go's threads write to Go's own heap, but also to malloc's: it holds the record and the table of thread-local variables of each
 * thread that Go starts.
 *
 * While any thread is held, this code must not call malloc or touch a Python object. */
#include "memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Time until threads are examined again, unless one more is held before. */
#define LOOK_AGAIN_NS 500000L

/* ---- held threads --------------------------------------------------------------------------------------------- */

static void futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* Runs on the thread's alternate stack if it has one, as goroutines need it. */
static void on_hold(int Py_UNUSED(number), siginfo_t *info, void *Py_UNUSED(context))
{
    int saved = errno;
    struct held_thread *thread = info->si_value.sival_ptr;
    if (info->si_code != SI_QUEUE || info->si_pid != getpid() || thread == NULL) return; /* not our signal */
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

/* Reads a file of /proc, up to size - 1 bytes, and terminates the text with a NUL. */
static bool read_file(int folder, const char *path, char *text, size_t size)
{
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number after a word of a status file; 0 if the word is missing. */
static unsigned long long number_in(const char *text, const char *word, int base)
{
    const char *found = strstr(text, word);
    return found == NULL ? 0 : strtoull(found + strlen(word), NULL, base);
}

static const char DEAF[] = "blocks signals";

static bool blocks(const char *status, int signal) { return number_in(status, "\nSigBlk:", 16) >> (signal - 1) & 1; }

static bool is_blocked(int tasks, pid_t id, int signal)
{
    char path[32], text[4096];
    snprintf(path, sizeof path, "%d/status", (int)id);
    return read_file(tasks, path, text, sizeof text) && blocks(text, signal); /* else it has ended */
}

/* How many threads the kernel counts. Its list may omit one while another ends. */
static uint64_t threads_of_process(int tasks)
{
    char text[4096];
    return read_file(tasks, "../status", text, sizeof text) ? number_in(text, "\nThreads:", 10) : 0;
}

struct entry { /* of getdents64(2) */
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Calls `take` for each thread that the kernel lists, except the caller, until it returns false. Returns whether it never did. */
static bool each_thread(int tasks, bool (*take)(pid_t id, void *context), void *context)
{
    _Alignas(struct entry) char entries[4096];
    const pid_t self = (pid_t)syscall(SYS_gettid);
    long n;
    lseek(tasks, 0, SEEK_SET);
    while ((n = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            pid_t id = (pid_t)strtol(entry->name, NULL, 10);
            if (id > 0 && id != self && !take(id, context)) return false;
            at += entry->size;
        }
    }
    return n == 0;
}

/* ---- sleeping threads and their calls ------------------------------------------------------------------------- */

/* The core is in the same folder as this object. */
static int look_for_core(struct dl_phdr_info *object, size_t Py_UNUSED(size), void *core)
{
    Dl_info own;
    const char *name = strrchr(object->dlpi_name, '/');
    if (name == NULL || strncmp(name, "/_core", 6) != 0 || !dladdr((void *)(uintptr_t)find_core, &own)) return 0;
    const size_t folder = (size_t)(name - object->dlpi_name) + 1;
    if (strncmp(own.dli_fname, object->dlpi_name, folder) != 0 || strchr(own.dli_fname + folder, '/') != NULL) return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        const uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X) *(struct range *)core = (struct range){start, start + segment->p_memsz};
    }
    return 1;
}

struct range find_core(void)
{
    struct range core = {0, 0};
    dl_iterate_phdr(look_for_core, &core);
    return core;
}

/* A line of /proc/self/task/N/syscall, proc_pid_syscall(5): the system call of a sleeping thread, and the caller's address. */
struct call {
    long number;
    unsigned long arguments[6], stack, place;
};

/* False if the thread runs, or waits for something other than a system call, such as a page. */
static bool read_call(int tasks, pid_t id, struct call *call)
{
    char path[32], text[256];
    unsigned long *argument = call->arguments;
    snprintf(path, sizeof path, "%d/syscall", (int)id);
    if (!read_file(tasks, path, text, sizeof text)) return false;
    return sscanf(text, "%ld %lx %lx %lx %lx %lx %lx %lx %lx", &call->number, &argument[0], &argument[1], &argument[2], &argument[3],
                  &argument[4], &argument[5], &call->stack, &call->place) == 9;
}

/* A wait that only another thread of this process can end, and that the kernel restarts after a signal. */
static bool is_endless_wait(const struct call *call)
{
    const int operation = (int)call->arguments[1], command = operation & FUTEX_CMD_MASK;
    return call->number == SYS_futex && operation & FUTEX_PRIVATE_FLAG && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET) &&
           call->arguments[3] == 0;
}

/* One examination of all threads. */
struct round {
    struct hold *hold;
    int tasks;
    struct range core;
    uint32_t n;
    bool changed; /* since the previous round */
    struct hold_refusal refusal;
};

static struct seen_thread *seen_before(struct round *round, pid_t id)
{
    for (uint32_t i = 0; i < round->hold->n_seen; i++) {
        if (round->hold->seen[i].id == id) return &round->hold->seen[i];
    }
    return NULL;
}

/* Examines a thread. Returns whether it may be sent a signal, if nothing wakes it before. */
static bool look_at_thread(pid_t id, void *context)
{
    struct round *round = context;
    char path[32], text[4096];
    struct call call;
    snprintf(path, sizeof path, "%d/status", (int)id);
    round->n++;
    struct seen_thread *before = seen_before(round, id);
    if (before != NULL && before->is_of_core) return true;
    round->refusal = (struct hold_refusal){"has ended", id};
    if (!read_file(round->tasks, path, text, sizeof text)) return false;
    round->refusal.why = DEAF; /* for good, or briefly, as while a thread is created */
    if (blocks(text, round->hold->signal)) return false;
    const uint64_t switches = number_in(text, "\nvoluntary_ctxt_switches:", 10) + number_in(text, "\nnonvoluntary_ctxt_switches:", 10);
    round->refusal.why = "is running";
    if (!read_call(round->tasks, id, &call)) return false;
    const bool is_of_core = round->core.start <= call.place && call.place < round->core.end;
    round->refusal.why = "waits in a call that a signal would end";
    if (!is_of_core && !is_endless_wait(&call)) return false;
    round->refusal.why = "is one too many";
    if (before == NULL && round->hold->n_seen == MOST_THREADS) return false;
    if (before == NULL) before = &round->hold->seen[round->hold->n_seen++];
    if (before->id != id || (before->switches != switches && !is_of_core)) round->changed = true;
    *before = (struct seen_thread){id, switches, is_of_core};
    return true;
}

/* Examines all threads. Returns whether nothing has changed: then each has slept since the previous round. */
static bool all_sleep(struct round *round)
{
    const uint32_t before = round->n;
    round->n = 0;
    round->changed = false;
    if (!each_thread(round->tasks, look_at_thread, round)) return false;
    round->refusal = (struct hold_refusal){"the list of threads changes all the time", 0};
    return !round->changed && round->n == before && threads_of_process(round->tasks) == (uint64_t)round->n + 1;
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

/* Asks a thread to hold unless it does. Returns whether to wait for it; *refusal says why waiting may fail. */
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
    if (is_blocked(tasks, id, hold->signal)) { /* for good, or briefly, as while a thread is created */
        *refusal = (struct hold_refusal){DEAF, id};
        return true;
    }
    int error = send_signal(hold, id);
    if (error == ESRCH) return false;
    if (error != 0) *refusal = (struct hold_refusal){"cannot be sent a signal", id};
    return true;
}

struct asking {
    struct hold *hold;
    int tasks;
    bool all; /* are held */
    struct hold_refusal refusal;
};

static bool ask_thread(pid_t id, void *context)
{
    struct asking *asking = context;
    if (ask(asking->hold, asking->tasks, id, &asking->refusal)) asking->all = false;
    return true;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Waits until all threads sleep where they may be sent a signal. */
static struct hold_refusal find_sleeping(struct hold *hold, int tasks, struct range core, int64_t deadline)
{
    const struct timespec look_again = {0, LOOK_AGAIN_NS};
    struct round round = {.hold = hold, .tasks = tasks, .core = core};
    hold->n_seen = 0;
    while (!all_sleep(&round) && !all_sleep(&round)) {
        if (now_ns() > deadline) return round.refusal;
        futex(&hold->arrived, FUTEX_WAIT, 0, &look_again);
    }
    return (struct hold_refusal){NULL, 0};
}

static struct hold_refusal hold_all(struct hold *hold, int tasks, int64_t deadline)
{
    const struct timespec look_again = {0, LOOK_AGAIN_NS};
    for (;;) {
        struct asking asking = {hold, tasks, true, {"the list of threads changes all the time", 0}};
        uint32_t arrived = atomic_load(&hold->arrived);
        bool all = each_thread(tasks, ask_thread, &asking) && asking.all;
        if (all && threads_of_process(tasks) == (uint64_t)atomic_load(&hold->arrived) + 1) return (struct hold_refusal){NULL, 0};
        if (now_ns() > deadline) return asking.refusal;
        futex(&hold->arrived, FUTEX_WAIT, arrived, &look_again);
    }
}

/* The highest unused real-time signal; 0 if there is none. */
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

struct hold_refusal hold_threads(struct hold *hold, struct range core, int64_t patience)
{
    const int64_t deadline = now_ns() + patience;
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
    struct hold_refusal refusal = find_sleeping(hold, tasks, core, deadline);
    if (refusal.why == NULL) refusal = hold_all(hold, tasks, deadline);
    close(tasks);
    if (refusal.why != NULL) release_threads(hold);
    return refusal;
}

void release_threads(struct hold *hold)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    atomic_store(&hold->released, 1);
    futex(&hold->released, FUTEX_WAKE, INT32_MAX, NULL);
    sigaction(hold->signal, &ignore, NULL); /* drops pending signals, whose default action ends the process */
    sigaction(hold->signal, &hold->before, NULL);
    pthread_sigmask(SIG_SETMASK, &hold->mask, NULL);
}
