"""The service that a master and its workers provide: starting, started, stopping, and how it ends.

It changes by what workers report and by how they end.
"""

import os
import signal
import time
from contextlib import suppress

from .. import log
from ..errors import AppError, ConfigError, StartError
from ..memory.start_up import finish_forking
from ..process.programs import ended
from ..process.signals import STOP_NOW
from .rollout import Rollout
from .spawn import LEAVING, SERVING, STARTING
from .worker import FAILED, REPLACE, SEPARATOR, SERVES, UNWATCHED
from .workers import CUT


class Service:
    """Of one master. It decides what becomes of the workers; the master asks whether to stop.

    `announce(flavour)` is called once all workers serve.
    """

    def __init__(self, config, workers, failures, attempts, announce):
        self.started = False  # all workers serve
        self.stops = 0  # how often a stop was requested
        self.stop_at = None  # when a stop that was delayed begins
        self.graceful = True  # no worker was killed or cut short
        self.outcome = None  # an exception for which the server stops
        self.lost = False  # a worker was lost, and the others have not been woken yet
        self._finishes_forking = False  # before the next wait
        self.rollout = Rollout(workers, failures)
        self._config, self._workers, self._failures, self._attempts = config, workers, failures, attempts
        self._announce = announce
        self._flavour = None  # of the core, as the last worker to serve reported it

    def fill(self):
        """Starts a worker for each number without one."""
        if self.stops or self._failures.pauses() or self._failures.waits_for_change():
            return
        missing = self._workers.missing()
        if missing and not self._workers.start(missing):
            self._failures.pause()

    def waits_to_fill(self):
        """Whether workers are missing that only a pause delays."""
        return not self.stops and bool(self._workers.missing()) and not self._failures.waits_for_change()

    def finish_forking(self):
        """To be called before each wait: releases memory once all workers serve."""
        if self._finishes_forking:
            self._finishes_forking = False
            self._attempts.do("releasing memory", finish_forking, self._config)

    def is_settled(self):
        """Whether all workers serve and none is to be replaced."""
        return self._workers.all_serve() and not self.rollout.is_pending()

    def resize(self, wanted):
        self._workers.resize(wanted)
        self._check_started()  # those that are left may all serve

    def restart(self):
        """Each worker leaves first; then another starts, with the code then on disk."""
        self._failures.forget()
        for worker in self._workers:
            self._workers.dismiss(worker)

    def delay_stop(self, delay):
        """A `stop` that lets the workers serve on for so many seconds: until `stop_is_due`."""
        self.stops += 1
        self.rollout.clear()
        self.stop_at = time.monotonic() + delay

    def stop_is_due(self):
        return self.stop_at is not None and self.stop_at <= time.monotonic()

    def end_delay(self):
        self.stop_at = None
        for worker in self._workers:
            self._workers.dismiss(worker)

    def stop(self):
        """Dismisses the workers; a second call ends them at once."""
        self.stops += 1
        self.stop_at = None
        self.rollout.clear()
        for worker in self._workers:
            if self.stops == 1:
                self._workers.dismiss(worker)
            else:
                self.graceful = False
                worker.deadline = time.monotonic() + CUT
                self._workers.kill(worker, STOP_NOW)

    # ---- what workers report ----

    def read(self, worker):
        """Handles the lines that a worker wrote."""
        for line in self._workers.read(worker):
            self._attempts.do(f"a line of {worker}", self._take, worker, line)

    def _take(self, worker, line):
        word, _, text = line.decode(errors="replace").partition(" ")
        text = text.replace(SEPARATOR, "\n")
        if word == SERVES:
            self._serves(worker, text)
        elif word == REPLACE:
            self.rollout.request(worker, text)
        elif word == UNWATCHED:
            worker.watched = False
            log.warning(f"worker_timeout does not apply to {worker}: its event loop is not saltare's own")
        elif word == FAILED:
            self._failures.show(text)
        else:
            raise ValueError(f"unknown word {word}")

    def _serves(self, worker, flavour):
        if worker.state == LEAVING and not worker.served and self.stops < 2:
            self._workers.serve_while_leaving(worker)
        if worker.state != STARTING:
            return
        self._workers.serve(worker)
        if self.started:
            log.info(f"{worker} serves")
        self._flavour = flavour
        self._check_started()
        if not self._workers.starting():
            self._finishes_forking = True  # the master is now idle for a long time

    def _check_started(self):
        if not self.started and self._workers.all_serve():
            self.started = True
            self._failures.forget_texts()
            self._announce(self._flavour)

    def abandon_stalled(self, worker, limit):
        """Its loop does not turn: it cannot drain. SIGABRT makes Python write where it is, before the process ends."""
        self.lost = True
        self._workers.count_lost()
        log.error(f"{worker} has not turned its event loop for {limit:g} s while clients wait: killing it")
        worker.state, worker.stalled, worker.deadline = LEAVING, True, time.monotonic() + CUT
        self._cut_short()
        self._workers.kill(worker, signal.SIGABRT)

    def check_deadlines(self):
        now = time.monotonic()
        for worker in self._workers:
            if worker.unsent is not None:
                self._workers.kill(worker, worker.unsent)
            if worker.deadline is None or worker.deadline > now:
                continue
            worker.deadline = None
            if worker.state == SERVING:
                self.rollout.request(worker, f"{worker.age():.0f} s since its start")
                continue
            if worker.state == STARTING:
                log.error(f"{worker} did not start within {self._config.worker_start_timeout:g} s: killing it")
            else:
                self._cut_short()
                if not worker.stalled:
                    log.error(f"{worker} did not end in time: killing it")
            self._workers.kill(worker, signal.SIGKILL)

    # ---- how workers end ----

    def ended(self, worker, status):
        """A worker has ended, with this status of waitpid(2)."""
        self._workers.remove(worker)
        self.rollout.remove(worker)
        self._attempts.do(f"the last lines of {worker}", self._read_last_lines, worker)
        self._workers.release(worker)
        code = os.waitstatus_to_exitcode(status)
        if worker.state == LEAVING:
            self._left(worker, code)
        elif not self.started and worker.state == STARTING and worker.replaces is None:
            self._start_failed(worker, code)
        else:
            self._lost(worker, code)

    def _read_last_lines(self, worker):
        os.set_blocking(worker.pipe, False)
        with suppress(BlockingIOError):  # a child of the app still holds the other end
            self.read(worker)

    def _left(self, worker, code):
        if worker.served and not worker.stalled and code not in (0, -signal.SIGTERM, -STOP_NOW):
            self._cut_short()
            log.warning(f"{worker} {ended(code)} while stopping")

    def _cut_short(self):
        """A worker did not end gracefully. That makes the whole stop ungraceful, if the server is stopping."""
        if self.stops:
            self.graceful = False

    def _start_failed(self, worker, code):
        """One of the first workers ended before it served: the whole start has failed."""
        if self.stops:
            return
        if self._config.reload:
            self._wait_for_change(worker, code)
            return
        error = {1: StartError, 2: ConfigError}.get(code, AppError)
        self.outcome = error(f"{worker} {ended(code)} before it served")

    def _wait_for_change(self, worker, code):
        self._failures.wait_for_change()
        why = "" if code in (1, 2, 3) else f"{worker} {ended(code)}; "
        log.error(f"{why}the app starts again when a file changes")

    def _lost(self, worker, code):
        """A worker ended unexpectedly."""
        self._workers.count_lost()
        self.lost = True
        if worker.replaces is not None:
            log.error(f"{worker} {ended(code)} before it served; {worker.replaces} stays, with the code it has")
            self.rollout.give_up()
            return
        log.error(f"{worker} {ended(code)}")
        if self._config.reload:
            self._wait_for_change(worker, code)
        elif self._config.worker_failure == "exit":
            self.outcome = SystemExit(code if code >= 0 else 128 - code)
        elif worker.state == STARTING:
            self._failures.pause()
        else:
            self._failures.pause_after(worker.age())
