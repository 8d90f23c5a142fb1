"""The workers of a master, each from its start to its end."""

import os
import select
import signal
import time
from contextlib import suppress

from .. import log
from ..errors import AppError, ConfigError, StartError
from ..memory.start_up import finish_forking
from ..process.attempt import shut
from ..process.programs import ended, waited
from ..process.signals import STOP_NOW
from .spawn import LEAVING, SERVING, STARTING
from .worker import FAILED, REPLACE, SEPARATOR, SERVES

# Units: seconds.
CUT = 3.0  # that a worker has to end after a stop at once, and beyond its own shutdown_timeout
BRIEF = 10.0  # a life shorter than this counts as a failure
LONGEST_PAUSE = 30.0  # between two starts that keep failing
FIRST_PAUSE = 0.25


class Workers:
    """The part of a master that starts workers, reads what they report, and acts when one ends. Its fields are those of
    Master, which calls these methods from its loop.
    """

    def _missing(self):
        """The numbers without a worker. With --reload, a leaving worker still has its number."""
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
        """Returns whether a worker was started for each of the numbers."""
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
        left = numbers[len(workers) :]
        if left:
            log.error(f"worker {left[0]} cannot be started: {why}")
            self._pause()
        elif why is not None:
            log.error(f"in the master, once it had started workers: {why}")
        return not left

    def _pause(self):
        now = time.monotonic()
        self._failures = 1 if now > self._spawn_at + BRIEF else self._failures + 1
        self._spawn_at = now + min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)

    def _read_pipe(self, worker):
        """Handles the lines that a worker wrote."""
        data = os.read(worker.pipe, 1 << 16)
        if not data:
            self._unwatch(worker)
            return
        *lines, worker.unread = (worker.unread + data).split(b"\n")
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
            self._do("giving memory back", finish_forking, self.config)  # the master is now idle for a long time

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
        # All workers of one start fail alike: the log shows it once.
        if text not in self._shown:
            self._shown.add(text)
            log.write(text)

    def _dismiss(self, worker):
        """Asks a worker to drain and end."""
        if worker.pid in self._workers and worker.state != LEAVING:
            worker.state = LEAVING
            worker.deadline = self._patience()
            self._kill(worker, signal.SIGTERM)

    def _patience(self):
        """The deadline of a leaving worker, which drains and then shuts its lifespan down; None: no limit."""
        timeout = self.config.patience()
        return time.monotonic() + timeout + self.config.lifespan_patience() + CUT if timeout else None

    def _kill(self, worker, number):
        sent = self._do(f"signal {number} to {worker}", self._send, worker.pid, number)
        worker.unsent = None if sent else number

    def _send(self, pid, number):
        with suppress(ProcessLookupError):  # it has ended; _reap removes it
            os.kill(pid, number)
        return True

    # ---- the end of one ----

    def _reap(self):
        for pid, status in self._ended():
            worker = self._workers.get(pid)
            if worker is not None:
                self._do(f"the end of {worker}", self._remove, worker, status)
            elif pid == self._trial.pid:
                self._do("the end of the trial", self._tried, status)

    def _ended(self):
        """(pid, status) of each of our children that has ended; as process 1 of a container, also of orphans."""
        if os.getpid() == 1:
            yield from iter(lambda: waited(-1), None)
            return
        for pid in [*self._workers, *([self._trial.pid] if self._trial.pid else [])]:
            one = waited(pid)
            if one is not None:
                yield one

    def _remove(self, worker, status):
        del self._workers[worker.pid]
        if worker in self._queue:
            self._queue.remove(worker)
        self._do(f"the last lines of {worker}", self._read_last_lines, worker)
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

    def _read_last_lines(self, worker):
        os.set_blocking(worker.pipe, False)
        with suppress(BlockingIOError):  # a child of the app still holds the other end
            self._read_pipe(worker)

    def _unwatch(self, worker):
        with suppress(KeyError):
            self._poll.unregister(worker.pipe)

    def _left(self, worker, code):
        if worker.served and code not in (0, -signal.SIGTERM, -STOP_NOW):
            self._cut_short()
            log.warning(f"{worker} {ended(code)} while it was to end")

    def _cut_short(self):
        """A worker did not end gracefully. That makes the whole stop ungraceful, if the server is stopping."""
        if self._stopping:
            self.graceful = False

    def _start_failed(self, worker, code):
        """One of the first workers ended before it served: the whole start has failed."""
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
        """A worker ended unexpectedly."""
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
            old.deadline = time.monotonic() + LONGEST_PAUSE  # its replacement is retried then


WORDS = {SERVES: Workers._serves, REPLACE: Workers._asks_for_replacement, FAILED: Workers._shows_failure}
