"""The master: forks the workers, supervises them and replaces them: per process.

It never loads the core, because a Go runtime does not survive fork(2): pure Python binds the sockets, imports the app
and waits. `_turn` is all it does: it waits for a signal, a line of a worker or a deadline, and looks at what follows.
An idle one makes no system call.

A worker is starting until it says that it serves, then serving, then leaving, from the SIGTERM that asks it to until it
has ended. Its number is that of its place, which a successor takes over; its slot in the table of counters is its own.

When the master ends, so does every worker, at once. So no failure in here ends it: what it starts answers "started" or
"why not" (process/attempt.py); every other action goes through `_do`, which logs what failed and has the loop look at
everything again a little later. Nothing depends on an event being seen the first time.
"""

import gc
import os
import select
import signal
import sys
import time
from contextlib import suppress

from .. import log
from ..errors import AppError, ConfigError, StartError
from ..memory.start_up import rest_from_forking, settle, settle_to_fork
from ..process import ignored, title
from ..process.attempt import Spare, reason, shut, started
from ..process.programs import end_now, ended, waited
from ..process.signals import HURRY, STOPPING
from ..process.terminal import hung_up
from ..restart.handover import Command, end_trial, is_trial, received
from ..restart.origin import origin
from ..restart.trial import Trial
from .counters import Counters
from .preload import Preload
from .signal_pipe import STOP, SignalPipe
from .spawn import LEAVING, SERVING, STARTING, Spawner, Worker
from .worker import FAILED, REPLACE, SEPARATOR, SERVES
from .worker_count import wanted_workers

# Units: seconds.
CUT = 3.0  # that a worker has to end once it was told twice, and beyond its own shutdown_timeout
BRIEF = 10.0  # a life shorter than this counts as a failure
LONGEST_PAUSE = 30.0  # between two starts of what fails again and again
FIRST_PAUSE = 0.25
RETRY = 0.1  # after which what failed is tried again
REPEATED = 10.0  # in which a failure that is the same as the last one is logged once
INSISTING = (0.1, 0.2, 0.5, 1.0, 2.0)  # pauses between a successor's attempts to start
SPARE_SLOTS = 16  # for workers that leave while their successors serve, and for SIGTTIN


class Master:
    """Serves one app by several processes, from `run` to its return."""

    def __init__(self, config, command_line=False):
        self.config = config
        self.started = False  # all workers serve
        self.graceful = True  # nobody had to be killed or cut short
        self.url = None  # of the first listener
        self.after_start = None  # called once all workers serve
        self._workers = {}  # by pid
        self._wanted = wanted_workers(config)
        self._queue = []  # workers to be replaced, one at a time
        self._failures = 0  # in a row
        self._spawn_at = 0.0  # not before
        self._stopping = 0  # how often it was told to
        self._outcome = None  # the exception that the end is, when that is not a graceful stop
        self._shown = set()  # failures of this start that were shown
        self._look_again = False  # something failed
        self._is_lost = False  # a worker, and the others have not been woken
        self._last_failure = ("", 0.0)  # and when it was logged
        self._signals = SignalPipe()
        self._spare = self._counters = self._watcher = self._spawner = None
        self._listeners = []
        self._unreturned = []  # slots of workers that are gone, which the table did not take back
        self._command = Command(origin())
        self._preload = Preload(config, self._command, command_line)
        self._trial = Trial(self._command, config.worker_start_timeout, "the workers go on with what they have")

    def run(self):
        """Serves until it is stopped. The errors are a Server's; SystemExit when a worker's end is that of all."""
        inherited = received() or {}
        trial = is_trial()
        self._check_process()
        try:
            self._preload.load(inherited, trial)
            if trial:
                end_trial()
            self._adopt(inherited)
            self._insist(self._open, inherited)
            self._insist(self._signals.__enter__)
            try:
                self._insist(self._watch)
                self._supervise()
            finally:
                self._do("signals", self._signals.__exit__, None, None, None)
        finally:
            self._close()
        if self._outcome is not None:
            raise self._outcome

    def stop(self):
        """Stops gracefully, a second time at once. May be called from any thread while it runs."""
        self._signals.send(STOP)

    # ---- before the first fork ----

    def _check_process(self):
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise StartError("workers are forked by the main thread only: run() was called in another one")
        if "saltare._core" in sys.modules:
            raise StartError("workers cannot be forked by a process that has served itself: Go does not survive fork")
        log.configure(self.config)

    def _insist(self, step, *arguments):
        """A step of the start. It ends the start when it fails, but not while there are workers that serve."""
        for pause in (*INSISTING, None):
            try:
                return step(*arguments)
            except OSError as error:
                if pause is None or not self._workers:
                    raise StartError(f"the master cannot start: {reason(error)}") from None
                log.error(f"the master cannot go on yet: {reason(error)}")
                time.sleep(pause)

    def _open(self, inherited):
        """Can be called again when it fails."""
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
            settle_to_fork(self.config)
        else:
            settle(self.config)

    def _table(self, inherited):
        if "counters" in inherited:
            table = Counters.inherited(*inherited["counters"])
            if table is not None:
                return table
            for worker in self._workers.values():
                worker.slot = 0  # of a table that is not ours
        return Counters.made(self._wanted * 2 + SPARE_SLOTS)

    def _adopt(self, inherited):
        """Takes over the workers of the program whose place we took."""
        for pid, number, slot, pipe, state, replaces in inherited.get("workers", ()):
            worker = self._workers[pid] = Worker(pid, number, slot, pipe)
            worker.state, worker.replaces = state, replaces
            worker.deadline = self._patience() if state == LEAVING else None
        for worker in self._workers.values():
            worker.replaces = self._workers.get(worker.replaces)

    def _plan(self, inherited):
        """What is to become of those workers: when the app is here, others are to take their places."""
        if not self._workers:
            return
        self.started = True
        if self._wanted == inherited["configured"] or not self._has_slots(self._wanted):
            self._wanted = inherited["wanted"]
        if self._preload.failed:
            return
        log.info(f"the master has loaded the app anew (pid {os.getpid()}); its workers are replaced")
        self._queue = [worker for worker in self._workers.values() if worker.state != LEAVING]

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
            self._do("the start", step)  # a worker of the program before us may have ended meanwhile
        if ignored.hang_ups():
            self._do("signal 1", self._heed, signal.SIGHUP)
        while self._workers or not self._stopping:
            self._turn()

    def _turn(self):
        ready = self._do("waiting", self._wait) or ()
        for worker in [one for one in self._workers.values() if one.pipe in ready]:
            self._do(f"listening to {worker}", self._hear, worker)
        if self._watcher is not None and self._watcher.fileno() in ready:
            self._do("listening to the watcher", self._changed)
        for number in self._do("reading signals", self._signals.read) or ():
            self._do(f"signal {number}", self._heed, number)
        # After the signals, for one that stops us may have reached the workers as well.
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
            time.sleep(RETRY)  # for what fails on and on
            timeout = 0
        return {fd for fd, _ in self._poll.poll(timeout)}

    def _do(self, what, action, *arguments):
        """Calls the action and returns what it does; None when it failed, which is logged."""
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
        """Milliseconds until the next deadline; None for ever."""
        deadlines = [worker.deadline for worker in self._workers.values() if worker.deadline is not None]
        if self._trial.deadline is not None:
            deadlines.append(self._trial.deadline)
        if (self._missing() and not self._waits_for_change()) or (self._queue and not self._starting()):
            deadlines.append(self._spawn_at)
        if not deadlines:
            return None
        return max(0, (min(deadlines) - time.monotonic()) * 1000 + 1)

    def _heed(self, number):
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
        """Connections that only a worker was told of which is gone may wait."""
        self._counters.ring()
        return True

    # ---- one worker ----

    def _missing(self):
        """The numbers of those places that nobody fills. While files are watched the old worker goes first."""
        if self._stopping:
            return []
        filled = {one.number for one in self._workers.values() if one.state != LEAVING or self._watcher is not None}
        return [number for number in range(1, self._wanted + 1) if number not in filled]

    def _starting(self):
        return any(worker.state == STARTING for worker in self._workers.values())

    def _waits_for_change(self):
        return self._watcher is not None and self._failures > 0

    def _fill(self):
        self._spare.fill()
        if time.monotonic() < self._spawn_at or self._waits_for_change():
            return
        missing = self._missing()
        if missing:
            self._spawn(missing)

    def _spawn(self, numbers, replaces=None):
        """Returns whether there is another worker for each of the numbers."""
        self._do("the table of counters", self._return_slots)
        others = [worker.pipe for worker in self._workers.values()]
        if self._watcher is not None:
            others.append(self._watcher.fileno())
        workers, why = self._spawner.start(numbers, others)
        for worker in workers:
            self._workers[worker.pid] = worker
            worker.replaces = replaces
            if self.config.worker_start_timeout:
                worker.deadline = worker.born + self.config.worker_start_timeout
            self._do(f"watching {worker}", self._poll.register, worker.pipe, select.POLLIN)
        if why is not None:
            log.error(f"worker {numbers[len(workers)]} cannot be started: {why}")
            self._pause()
        return why is None

    def _pause(self):
        now = time.monotonic()
        self._failures = 1 if now > self._spawn_at + BRIEF else self._failures + 1
        self._spawn_at = now + min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)

    def _hear(self, worker):
        """Takes up what a worker has written."""
        data = os.read(worker.pipe, 1 << 16)
        if not data:
            self._unwatch(worker)
            return
        *lines, worker.words = (worker.words + data).split(b"\n")
        for line in lines:
            self._do(f"a line of {worker}", self._take, worker, line)

    def _take(self, worker, line):
        word, _, text = line.decode(errors="replace").partition(" ")
        WORDS[word](self, worker, text.replace(SEPARATOR, "\n"))

    def _serves(self, worker, flavour):
        if worker.state != STARTING:
            return
        worker.state, worker.served = SERVING, True
        lifetime = self.config.limit_worker_lifetime
        worker.deadline = worker.born + lifetime if lifetime else None
        if worker.replaces is not None:
            self._dismiss(worker.replaces)
            worker.replaces = None
        if self.started:
            log.info(f"{worker} serves")
        elif all(one.state == SERVING for one in self._workers.values()) and not self._missing():
            self._start_is_over(flavour)
        if not self._starting():
            self._do("giving memory back", rest_from_forking, self.config)  # nothing happens here for a long time

    def _start_is_over(self, flavour):
        self.started = True
        self._shown.clear()
        log.info(log.startup_line(self._listeners, flavour, len(self._workers)))
        if self.after_start is not None:
            self.after_start()

    def _asks_for_replacement(self, worker, why):
        if worker.state == SERVING and worker not in self._queue:
            log.info(f"{worker} is replaced: {why}")
            self._queue.append(worker)

    def _shows_failure(self, worker, text):
        # All workers of one start fail alike: once is enough.
        if text not in self._shown:
            self._shown.add(text)
            log.write(text)

    def _dismiss(self, worker):
        """Asks a worker to finish what is in progress and to end."""
        if worker.pid in self._workers and worker.state != LEAVING:
            worker.state = LEAVING
            worker.deadline = self._patience()
            self._kill(worker, signal.SIGTERM)

    def _patience(self):
        """Until when a worker that leaves may take: its drain and its lifespan have shutdown_timeout each."""
        timeout = self.config.patience()
        return time.monotonic() + 2 * timeout + CUT if timeout else None

    def _kill(self, worker, number):
        sent = self._do(f"signal {number} to {worker}", self._send, worker.pid, number)
        worker.unsent = None if sent else number

    def _send(self, pid, number):
        with suppress(ProcessLookupError):  # it has ended; _reap will come by
            os.kill(pid, number)
        return True

    # ---- the end of one ----

    def _reap(self):
        for pid, status in self._ended():
            worker = self._workers.get(pid)
            if worker is not None:
                self._do(f"the end of {worker}", self._bury, worker, status)
            elif pid == self._trial.pid:
                self._do("the end of the trial", self._tried, status)

    def _ended(self):
        """(pid, status) of each child of ours that has ended; as process 1 of a container also of others' orphans."""
        if os.getpid() == 1:
            yield from iter(lambda: waited(-1), None)
            return
        for pid in [*self._workers, *([self._trial.pid] if self._trial.pid else [])]:
            one = waited(pid)
            if one is not None:
                yield one

    def _bury(self, worker, status):
        del self._workers[worker.pid]
        if worker in self._queue:
            self._queue.remove(worker)
        self._do(f"the last words of {worker}", self._hear_last_words, worker)
        self._unwatch(worker)
        shut(worker.pipe)
        if worker.slot:
            self._unreturned.append(worker.slot)
            self._do("the table of counters", self._return_slots)
        code = os.waitstatus_to_exitcode(status)
        if worker.state == LEAVING:
            self._left(worker, code)
        elif not self.started and worker.state == STARTING:
            self._start_failed(worker, code)
        else:
            self._lost(worker, code)

    def _return_slots(self):
        while self._unreturned:
            self._counters.give_back(self._unreturned[-1])
            self._unreturned.pop()

    def _hear_last_words(self, worker):
        os.set_blocking(worker.pipe, False)
        with suppress(BlockingIOError):  # a child of the app still has the other end
            self._hear(worker)

    def _unwatch(self, worker):
        with suppress(KeyError):
            self._poll.unregister(worker.pipe)

    def _left(self, worker, code):
        if worker.served and code not in (0, -signal.SIGTERM, -HURRY):
            self._cut_short()
            log.warning(f"{worker} {ended(code)} while it was to end")

    def _cut_short(self):
        """A worker has not ended as it was to. Of the whole it says something only when that is to end too."""
        if self._stopping:
            self.graceful = False

    def _start_failed(self, worker, code):
        """Of the first workers one has not come to serve: there is no use in going on."""
        if self._stopping:
            return
        if self._watcher is not None:
            self._wait_for_change(worker, code)
            return
        error = {1: StartError, 2: ConfigError}.get(code, AppError)
        self._outcome = error(f"{worker} {ended(code)} before it served")
        self._stop()

    def _wait_for_change(self, worker, code):
        self._failures += 1
        why = "" if code in (1, 2, 3) else f"{worker} {ended(code)}; "
        log.error(f"{why}a change of a file starts the app again")

    def _lost(self, worker, code):
        """One that was to go on has ended."""
        self._is_lost = True
        if worker.replaces is not None:
            self._give_up_replacing(worker, code)
            return
        log.error(f"{worker} {ended(code)}")
        if self._watcher is not None:
            self._wait_for_change(worker, code)
        elif self.config.worker_failure == "exit":
            self._outcome = SystemExit(code if code >= 0 else 128 - code)
            self._stop()
        elif worker.state == STARTING or worker.age() < BRIEF:
            self._pause()

    def _give_up_replacing(self, worker, code):
        old = worker.replaces
        log.error(f"{worker} {ended(code)} before it served; {old} stays, with the code it has")
        self._pause()
        self._queue.clear()
        limits = self.config.limit_max_requests, self.config.limit_max_rss, self.config.limit_worker_lifetime
        if any(limits) and old.state == SERVING:
            old.deadline = time.monotonic() + LONGEST_PAUSE  # then it is tried again

    # ---- all of them ----

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
                self._kill(worker, HURRY)

    def _leave_listeners(self):
        """The workers have their own, until they have taken what waits there; then whoever comes is refused."""
        for listener in self._listeners:
            self._do("closing a listener", listener.close)

    def _renew(self):
        """SIGHUP: other workers, with the code that is on disk now."""
        if self._watcher is not None:
            self._restart()
        elif not self._preload.by_master():
            self._roll_over()
        elif self._command.repeatable():
            self._trial.ask()
        else:
            log.warning("this program cannot be started again: the new workers have the code of the old ones")
            self._queue_all()

    def _roll_over(self):
        """Where each worker imports the app, from the folder that has the name now."""
        why = started(self._command.enter)[1]
        if why is None:
            self._queue_all()
        else:
            log.error(f"SIGHUP: the code on disk cannot be loaded: {why}; the workers go on with what they have")

    def _queue_all(self):
        self._forget_failures()
        self._queue += [one for one in self._workers.values() if one.state != LEAVING and one not in self._queue]

    def _forget_failures(self):
        """What comes now is another start, by somebody's will."""
        self._failures, self._spawn_at = 0, 0.0
        self._shown.clear()

    def _tried(self, status):
        if self._stopping:
            self._trial.pid = None
        elif self._trial.ended(status) == "passed":
            repeat = (self._command.repeat, *self._legacy(), True, self._signals.put_back)
            why = started(self._spare.attempt, *repeat)[1]
            log.error(f"SIGHUP: the new program cannot be started: {why}; the workers go on with what they have")

    def _legacy(self):
        """What the next program needs to know, and the descriptors it needs to have."""
        listeners = {}
        for one in self._listeners:
            listeners.setdefault(one.key, []).append(one.fileno())
        table, bells = self._counters.handed_over()
        workers = [
            (one.pid, one.number, one.slot, one.pipe, one.state, one.replaces and one.replaces.pid)
            for one in self._workers.values()
        ]
        state = {"listeners": listeners, "counters": (table, bells), "workers": workers, "wanted": self._wanted}
        state["configured"] = wanted_workers(self.config)
        kept = (
            [one.fileno() for one in self._listeners] + [table, *bells] + [one.pipe for one in self._workers.values()]
        )
        return state, kept

    def _resize(self, wanted):
        if wanted < 1 or self._watcher is not None:
            return
        if not self._has_slots(wanted):
            return
        self._wanted = wanted
        log.info(f"workers wanted: {wanted}")
        self._dismiss_surplus()

    def _has_slots(self, wanted):
        """Twice as many as workers, since each may have a successor while it leaves."""
        enough = wanted * 2 <= self._counters.slots
        if not enough:
            log.warning(f"there is no room for {wanted} workers; stop, and start again with another --workers")
        return enough

    def _dismiss_surplus(self):
        for worker in list(self._workers.values()):
            if worker.number > self._wanted:
                self._dismiss(worker)

    def _roll(self):
        """Replaces the workers of the queue: one at a time, and the old one goes only when the new one serves."""
        if self._stopping or self._starting():
            return
        while self._queue and time.monotonic() >= self._spawn_at:
            old = self._queue[0]
            if old.state != SERVING or old.number > self._wanted:
                self._queue.pop(0)
            elif self._spawn([old.number], replaces=old):
                self._queue.remove(old)
                return

    def _changed(self):
        path = self._watcher.read()
        if path:
            log.info(f"{path} has changed: restarting")
            self._restart()
        else:
            log.error("files are no longer watched")
            self._poll.unregister(self._watcher.fileno())

    def _restart(self):
        """The worker goes, and when it is gone another one comes, with the code that is on disk then."""
        self._forget_failures()
        for worker in self._workers.values():
            self._dismiss(worker)

    def _close(self):
        self._leave_listeners()
        self._trial.give_up()
        for worker in self._workers.values():  # when an error of ours ended the loop
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


WORDS = {SERVES: Master._serves, REPLACE: Master._asks_for_replacement, FAILED: Master._shows_failure}
