/* Timer slack that keeps Go's monitor thread from waking every 20 microseconds.
 *
 * The Go runtime has a thread (sysmon) that looks for goroutines that block others. It sleeps 20 us at a time while there
 * is work and takes 3 % of a CPU core, though this code has no such goroutines. A thread's timer slack (prctl(2)) sets the
 * precision of its sleeps, and new threads inherit it. So the slack is raised while the runtime starts its threads, and
 * restored when the module is initialised. */
#include "py_timerslack.h"

#include <sys/prctl.h>

#define GO_SLACK_NS (5 * 1000 * 1000ul)

static int before; /* of the importing thread */

/* Constructors with a priority run before Go's own. */
__attribute__((constructor(101))) static void raise_slack(void)
{
    before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    if (before > 0) prctl(PR_SET_TIMERSLACK, GO_SLACK_NS, 0, 0, 0);
}

void py_restore_timer_slack(void)
{
    if (before > 0) prctl(PR_SET_TIMERSLACK, (unsigned long)before, 0, 0, 0);
    before = 0;
}
