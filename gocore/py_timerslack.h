/* py_timerslack.h: the timer slack of threads. */
#ifndef SALTARE_PY_TIMERSLACK_H
#define SALTARE_PY_TIMERSLACK_H

/* Restores the timer slack of the importing thread, which loading the library raised. */
void py_restore_timer_slack(void);

#endif
