"""The master forks workers, supervises them and replaces them.

It never loads the core, because a Go runtime does not survive fork(2): pure Python binds the sockets, imports the app
and waits. `_turn` is the whole loop: it waits for a signal, a line of a worker or a deadline, and acts on it. An idle
master makes no system calls.

A worker is starting until it reports that it serves, then serving, then leaving, from its SIGTERM until it has ended.
Its number is inherited by its successor; its slot in the table of counters is its own.

When the master ends, every worker ends at once. So no failure here may end it: what it starts returns "started" or
"why not" (process/attempt.py); every other action goes through `_do`, which logs the failure and makes the loop check
everything again a little later. Nothing depends on an event being seen the first time.
"""

import gc
import os
import select
import signal
import sys
import time

from .. import log
from ..errors import StartError
from ..memory.start_up import finish_start_up, finish_start_up_to_fork
from ..process import ignored, title
from ..process.attempt import Spare, reason, shut
from ..process.programs import end_now
from ..process.signals import STOP_NOW, STOPPING
from ..process.terminal import hung_up
from ..restart.handover import Command, end_trial, is_trial, received
from ..restart.origin import origin
from ..restart.trial import Trial
from .preload import Preload
from .replacement import Replacement
from .signal_pipe import STOP, SignalPipe
from .spawn import SERVING, STARTING, Spawner
from .worker_count import wanted_workers
from .workers import CUT, Workers

# Units: seconds.
RETRY = 0.1  # pause before the retry of a failed action
REPEATED = 10.0  # a failure equal to the last one is logged once in this time
START_RETRIES = (0.1, 0.2, 0.5, 1.0, 2.0)  # pauses between a successor's attempts to start


class Master(Workers, Replacement):
    """Serves one app with several processes, from `run` to its return."""

    def __init__(self, config, command_line=False):
        self.config = config
        self.started = False  # all workers serve
        self.graceful = True  # no worker was killed or cut short
        self.url = None  # of the first listener
        self.after_start = None  # called once all workers serve
        self._workers = {}  # by pid
        self._wanted = wanted_workers(config)
        self._queue = []  # workers to be replaced, one at a time
        self._failures = 0  # in a row
        self._spawn_at = 0.0  # no fork before this time
        self._stopping = 0  # number of stop requests
        self._outcome = None  # the exception that `run` raises, unless the stop is graceful
        self._shown = set()  # failures of this start that were shown
        self._look_again = False  # an action failed
        self._is_lost = False  # a worker was lost, and the others have not been woken yet
        self._last_failure = ("", 0.0)  # its text, and when it was logged
        self._signals = SignalPipe()
        self._spare = self._counters = self._watcher = self._spawner = None
        self._listeners = []
        self._unreturned = []  # slots of ended workers that are still to be freed
        self._command = Command(origin())
        self._preload = Preload(config, self._command, command_line)
        self._trial = Trial(self._command, config.worker_start_timeout, "the workers go on with what they have")

    def run(self):
        """Serves until stopped. Raises as a Server does; SystemExit when the end of a worker ends the server."""
        inherited = received() or {}
        trial = is_trial()
        self._check_process()
        try:
            self._preload.load(inherited, trial)
            if trial:
                end_trial()
            self._adopt(inherited)
            self._retry(self._open, inherited)
            self._retry(self._signals.__enter__)
            try:
                self._retry(self._watch)
                self._supervise()
            finally:
                self._do("signals", self._signals.__exit__, None, None, None)
        finally:
            self._close()
        if self._outcome is not None:
            raise self._outcome

    def stop(self):
        """Stops gracefully; a second call, at once. May be called from any thread while it runs."""
        self._signals.send(STOP)

    # ---- before the first fork ----

    def _check_process(self):
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise StartError("workers are forked by the main thread only: run() was called in another one")
        if "saltare._core" in sys.modules:
            raise StartError("workers cannot be forked by a process that has served itself: Go does not survive fork")
        log.configure(self.config)

    def _retry(self, step, *arguments):
        """A step of the start. A failure ends the start, but is retried first while workers serve."""
        for pause in (*START_RETRIES, None):
            try:
                return step(*arguments)
            except OSError as error:
                if pause is None or not self._workers:
                    raise StartError(f"the master cannot start: {reason(error)}") from None
                log.error(f"the master cannot go on yet: {reason(error)}")
                time.sleep(pause)

    def _open(self, inherited):
        """May be retried after a failure."""
        for worker in self._workers.values():
            os.set_inheritable(worker.pipe, False)
        if not self._listeners:
            from ..listen.open import open_or_keep

            self._listeners = open_or_keep(self.config, inherited.get("listeners"))
            self.url = self._listeners[0].url
        if self._spare is None:
            self._spare = Spare()
        self._counters = self._table(inherited)
        self._spawner = Spawner(
            self._preload.workers_config(), self._listeners, self._counters, self._signals, self._spare
        )
        self._plan(inherited)
        title.set_title("saltare:master")
        if self._preload.is_here():
            finish_start_up_to_fork(self.config)
        else:
            finish_start_up(self.config)

    def _watch(self):
        self._poll = select.poll()
        self._poll.register(self._signals.fileno(), select.POLLIN)
        for worker in self._workers.values():
            self._poll.register(worker.pipe, select.POLLIN)
        if self.config.reload:
            from .reload import Watcher

            self._watcher = Watcher(self.config)
            self._poll.register(self._watcher.fileno(), select.POLLIN)

    # ---- the loop ----

    def _supervise(self):
        for step in (self._reap, self._dismiss_surplus, self._roll, self._fill):
            self._do("the start", step)  # an inherited worker may have ended meanwhile
        if ignored.hang_ups():
            self._do("signal 1", self._on_signal, signal.SIGHUP)
        while self._workers or not self._stopping:
            self._turn()

    def _turn(self):
        ready = self._do("waiting", self._wait) or ()
        for worker in [one for one in self._workers.values() if one.pipe in ready]:
            self._do(f"listening to {worker}", self._read_pipe, worker)
        if self._watcher is not None and self._watcher.fileno() in ready:
            self._do("listening to the watcher", self._changed)
        for number in self._do("reading signals", self._signals.read) or ():
            self._do(f"signal {number}", self._on_signal, number)
        # After the signals: one that stops us may have ended workers as well.
        self._do("waiting for children", self._reap)
        if self._is_lost and self._do("waking the workers", self._wake):
            self._is_lost = False
        self._do("deadlines", self._on_time)
        self._do("replacing workers", self._roll)
        self._do("starting workers", self._fill)

    def _wait(self):
        timeout = self._timeout()
        if self._look_again:
            self._look_again = False
            time.sleep(RETRY)  # no busy loop when an action keeps failing
            timeout = 0
        return {fd for fd, _ in self._poll.poll(timeout)}

    def _do(self, what, action, *arguments):
        """Calls the action and returns its result; logs a failure and returns None."""
        try:
            return action(*arguments)
        except OSError as error:
            self._report(f"{what}: {reason(error)}")
        except Exception as error:
            self._report(f"{what} failed", error)
        self._look_again = True
        return None

    def _report(self, text, error=None):
        last, at = self._last_failure
        now = time.monotonic()
        if text != last or now > at + REPEATED:
            self._last_failure = (text, now)
            log.error(f"in the master: {text}", error)

    def _timeout(self):
        """Milliseconds until the next deadline; None: no deadline."""
        deadlines = [worker.deadline for worker in self._workers.values() if worker.deadline is not None]
        if self._trial.deadline is not None:
            deadlines.append(self._trial.deadline)
        if (self._missing() and not self._waits_for_change()) or (self._queue and not self._starting()):
            deadlines.append(self._spawn_at)
        if not deadlines:
            return None
        return max(0, (min(deadlines) - time.monotonic()) * 1000 + 1)

    def _on_signal(self, number):
        if number in (STOP, *STOPPING):
            if not self._stopping:
                log.info(f"stopping: {signal.Signals(number).name if number else 'shutdown() was called'}")
            self._stop()
        elif self._stopping:
            return
        elif number == signal.SIGHUP:
            self._stop() if hung_up() else self._renew()
        elif number == signal.SIGTTIN:
            self._resize(self._wanted + 1)
        elif number == signal.SIGTTOU:
            self._resize(self._wanted - 1)

    def _on_time(self):
        self._trial.check()
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.unsent is not None:
                self._kill(worker, worker.unsent)
            if worker.deadline is None or worker.deadline > now:
                continue
            worker.deadline = None
            if worker.state == SERVING:
                self._asks_for_replacement(worker, f"its {worker.age():.0f} s are over")
                continue
            if worker.state == STARTING:
                log.error(f"{worker} did not start within {self.config.worker_start_timeout:g} s: it is killed")
            else:
                self._cut_short()
                log.error(f"{worker} did not end in time: it is killed")
            self._kill(worker, signal.SIGKILL)

    def _wake(self):
        """The kernel may have notified only the lost worker of new connections."""
        self._counters.ring()
        return True

    # ---- the end ----

    def _stop(self):
        self._stopping += 1
        self._queue.clear()
        self._trial.kill()
        self._leave_listeners()
        for worker in self._workers.values():
            if self._stopping == 1:
                self._dismiss(worker)
            else:
                self.graceful = False
                worker.deadline = time.monotonic() + CUT
                self._kill(worker, STOP_NOW)

    def _leave_listeners(self):
        """The workers close their own copies once the backlog is empty; then new connections are refused."""
        for listener in self._listeners:
            self._do("closing a listener", listener.close)

    def _close(self):
        self._leave_listeners()
        self._trial.give_up()
        for worker in self._workers.values():  # only if an error of ours ended the loop
            end_now(worker.pid)
            shut(worker.pipe)
        if self._watcher is not None:
            self._watcher.close()
        if self._counters is not None:
            self._do("closing the table of counters", self._counters.close)
        if self._spare is not None:
            self._spare.close()
        gc.unfreeze()
        self.started = False
