/* py_timerslack.h: how exactly sleeps of threads are timed. */
#ifndef SALTARE_PY_TIMERSLACK_H
#define SALTARE_PY_TIMERSLACK_H

/* Undoes what loading the library did to the importing thread. */
void py_restore_timer_slack(void);

#endif
