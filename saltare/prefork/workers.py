"""The workers of a master, as processes: starts, signals, what they report, and their ends."""

import os
import select
import signal
import time
from contextlib import suppress

from .. import log
from ..process.attempt import shut
from .spawn import LEAVING, SERVING, STARTING, Worker
from .worker_count import wanted_workers

# Seconds that a worker has to end: after a stop at once, if it has not served, and beyond its own shutdown_timeout.
CUT = 3.0


class Workers:
    """Those that have not ended. Iterating allows for changes meanwhile."""

    def __init__(self, config, attempts):
        self.wanted = wanted_workers(config)
        self._config, self._attempts = config, attempts
        self._by_pid = {}
        self._counters = self._spawner = self._poll = None
        self.others = ()  # descriptors of the master, besides the workers' pipes, that workers close

    def __iter__(self):
        return iter(list(self._by_pid.values()))

    def __len__(self):
        return len(self._by_pid)

    def adopt(self, records, at_limit):
        """Takes over the workers of the previous program, by its `records`; `at_limit` are pids."""
        for pid, number, slot, pipe, state, replaces, *born in records:  # an older version records no birth
            worker = self._by_pid[pid] = Worker(pid, number, slot, pipe, *born)
            worker.state, worker.replaces, worker.at_limit = state, replaces, pid in at_limit
            worker.watched = False  # what it has reported about that is lost, and it is to be replaced
            worker.served = state != STARTING  # a leaving one that has not served is not told apart
            worker.deadline = self._deadline(worker)
        for worker in self:
            worker.replaces = self._by_pid.get(worker.replaces)

    def records(self):
        """For the next program."""
        return [
            (one.pid, one.number, one.slot, one.pipe, one.state, one.replaces and one.replaces.pid, one.born)
            for one in self
        ]

    def at_limit(self):
        """The pids of those at a limit, for the next program."""
        return [one.pid for one in self if one.at_limit]

    def equip(self, spawner, counters):
        self._spawner, self._counters = spawner, counters

    def watch(self, poll):
        """Registers their pipes, and those of later workers, with `poll`."""
        self._poll = poll
        for worker in self:
            poll.register(worker.pipe, select.POLLIN)

    # ---- how many ----

    def get(self, pid):
        return self._by_pid.get(pid)

    def missing(self):
        """The numbers without a worker. With --reload, a leaving worker still has its number."""
        filled = {one.number for one in self if one.state != LEAVING or self._config.reload}
        return [number for number in range(1, self.wanted + 1) if number not in filled]

    def all_serve(self):
        """Whether each number has a worker that serves."""
        return {one.number for one in self if one.state == SERVING}.issuperset(range(1, self.wanted + 1))

    def starting(self):
        return any(worker.state == STARTING for worker in self)

    def resize(self, wanted):
        if wanted < 1 or self._config.reload or not self.has_slots(wanted):
            return
        self.wanted = wanted
        log.info(f"workers wanted: {wanted}")
        self.dismiss_surplus()

    def has_slots(self, wanted):
        """Two for each worker, since it may have a successor while it leaves."""
        enough = wanted * 2 <= self._counters.slots
        if not enough:
            log.warning(f"there is no room for {wanted} workers: restart the server with a larger --workers")
        return enough

    # ---- from its start to its end ----

    def start(self, numbers, replaces=None):
        """Returns whether a worker was started for each of the numbers; logs why not."""
        self._attempts.do("the table of counters", self._counters.free_ended)
        workers, why = self._spawner.start(numbers, [*(one.pipe for one in self), *self.others])
        for worker in workers:
            self._by_pid[worker.pid] = worker
            worker.replaces = replaces
            worker.deadline = self._deadline(worker)
            self._attempts.do(f"watching {worker}", self._poll.register, worker.pipe, select.POLLIN)
        left = numbers[len(workers) :]
        if left:
            log.error(f"worker {left[0]} cannot be started: {why}")
        elif why is not None:
            log.error(f"in the master, after it had started workers: {why}")
            self._attempts.failed = True
        return not left

    def complete_start(self):
        """What the last start may have left undone."""
        self._spawner.restore_mask()

    def read(self, worker):
        """The complete lines that a worker has written since the last call."""
        data = os.read(worker.pipe, 1 << 16)
        if not data:
            self._unwatch(worker)
            return []
        *lines, worker.unread = (worker.unread + data).split(b"\n")
        return lines

    def serve(self, worker):
        """A worker reports that it serves: the one that it replaces leaves."""
        worker.state, worker.served = SERVING, True
        worker.deadline = self._deadline(worker)
        if worker.replaces is not None:
            self.dismiss(worker.replaces)
            worker.replaces = None

    def serve_while_leaving(self, worker):
        """A worker had begun to serve when it was dismissed: its requests get their time."""
        worker.served = True
        worker.deadline = self._deadline(worker)

    def dismiss(self, worker):
        """Asks a worker to drain and end."""
        if worker.pid in self._by_pid and worker.state != LEAVING:
            worker.state = LEAVING
            worker.deadline = self._deadline(worker)
            self.kill(worker, signal.SIGTERM)

    def dismiss_starting(self):
        for worker in self:
            if worker.state == STARTING:
                self.dismiss(worker)

    def dismiss_surplus(self):
        for worker in self:
            if worker.number > self.wanted:
                self.dismiss(worker)

    def kill(self, worker, number):
        """Sends a signal. If that fails, the worker's `unsent` is the number, to retry."""
        sent = self._attempts.do(f"signal {number} to {worker}", send, worker.pid, number)
        worker.unsent = None if sent else number

    def reopen_log(self):
        """SIGUSR2, to those that serve: the others open the file when they do."""
        for worker in self if self._config.access_log else ():
            self._attempts.do(f"signal {signal.SIGUSR2} to {worker}", send, worker.pid, signal.SIGUSR2)

    def write_figures(self):
        """SIGUSR1: each that serves writes its own. Earlier it has the master's handlers, and nothing to say."""
        for worker in [one for one in self if one.served]:
            self._attempts.do(f"signal {signal.SIGUSR1} to {worker}", send, worker.pid, signal.SIGUSR1)

    def remove(self, worker):
        """It has ended; what it wrote may still be read."""
        del self._by_pid[worker.pid]
        for one in self:
            if one.replaces is worker:
                one.replaces = None

    def release(self, worker):
        """Closes its pipe and frees its slot, after its removal."""
        self._unwatch(worker)
        shut(worker.pipe)
        if worker.slot:
            self._attempts.do("the table of counters", self._counters.free_ended, worker.slot)

    def count_lost(self):
        """One has ended unexpectedly, for the metrics."""
        self._attempts.do("the table of counters", self._counters.count_lost)

    def _unwatch(self, worker):
        with suppress(KeyError):
            self._poll.unregister(worker.pipe)

    def _deadline(self, worker):
        """Of a worker that is now in its state."""
        config = self._config
        if worker.state == STARTING:
            return worker.born + config.worker_start_timeout if config.worker_start_timeout else None
        if worker.state == SERVING:
            return worker.born + config.limit_worker_lifetime if config.limit_worker_lifetime else None
        if not worker.served:  # it has no requests, and may hang in an import
            return time.monotonic() + CUT
        timeout = config.patience()  # it drains, and then shuts its lifespan down
        return time.monotonic() + timeout + config.lifespan_patience() + CUT if timeout else None


def send(pid, number):
    with suppress(ProcessLookupError):  # it has ended; the master removes it
        os.kill(pid, number)
    return True
