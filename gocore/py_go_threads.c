/* What Go's own threads inherit of the thread that loads the library.  per process
 *
 * Timer slack (prctl(2)): the Go runtime has a thread (sysmon) that looks for goroutines that block others. It sleeps 20 us at
 * a time while there is work and takes 3 % of a core, for goroutines that the core does not have. How exactly a thread's
 * sleeps are timed is its timer slack, so that is raised while the runtime starts its threads.
 *
 * CPUs (sched_setaffinity(2)): the runtime counts them once, and makes for each a P with its caches and now and then a thread:
 * 0.1 MiB for the second, 0.36 for 16. Here one thread at a time is in Go, that of the loop, so one CPU is all it is shown;
 * saltare_open asks for more Ps when servers share a process.
 *
 * The importing thread gets both back when the module is initialised, Go's threads their CPUs once the runtime stands. */
#define _GNU_SOURCE
#include "py_bridge.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define GO_SLACK_NS (5 * 1000 * 1000ul)

static int slack;           /* of the importing thread; 0: none to put back */
static cpu_set_t cpus, one; /* those of the importing thread, and what it has meanwhile */
static bool narrowed;

/* Constructors with a priority run before Go's own. */
__attribute__((constructor(101))) static void narrow(void)
{
    slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    if (slack > 0) prctl(PR_SET_TIMERSLACK, GO_SLACK_NS, 0, 0, 0);
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) < 2) return;
    CPU_SET(cpu, &one);
    narrowed = sched_setaffinity(0, sizeof one, &one) == 0;
}

void py_restore_importing_thread(void)
{
    if (slack > 0) prctl(PR_SET_TIMERSLACK, (unsigned long)slack, 0, 0, 0);
    slack = 0;
    if (narrowed) sched_setaffinity(0, sizeof cpus, &cpus);
}

static void widen(pid_t thread)
{
    cpu_set_t now;
    if (sched_getaffinity(thread, sizeof now, &now) == 0 && CPU_EQUAL(&now, &one)) sched_setaffinity(thread, sizeof cpus, &cpus);
}

void py_restore_go_threads(void)
{
    if (!narrowed) return;
    narrowed = false;
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] != '.') widen((pid_t)strtol(entry->d_name, NULL, 10));
    }
    closedir(threads);
}
