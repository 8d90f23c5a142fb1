"""The replacement of workers that serve: after SIGHUP, at a limit of theirs, and by a new master."""

import time

from .. import log
from .failures import LONGEST_PAUSE
from .spawn import LEAVING, SERVING, STARTING


class Rollout:
    """Replaces the workers in its queue one at a time. The old worker leaves only when the new one serves."""

    def __init__(self, workers, failures):
        self._workers, self._failures = workers, failures
        self._queue = []
        self._requests = 0  # how often all were to be replaced
        self._answered = 0  # `_requests` when the last successor was started

    def request(self, worker, why):
        """For a worker at a limit of its own."""
        if worker.state != SERVING:
            return
        worker.at_limit = True
        if worker not in self._queue:
            log.info(f"{worker} is replaced: {why}")
            self._queue.append(worker)

    def request_all(self):
        self._failures.forget()
        self._requests += 1
        self._queue += [one for one in self._workers if one.state != LEAVING and one not in self._queue]
        for worker in self._workers:
            if worker.state == STARTING and worker.replaces is not None:
                log.info(f"SIGHUP: the workers are replaced again after {worker}, which does not serve yet")

    def remove(self, worker):
        if worker in self._queue:
            self._queue.remove(worker)

    def clear(self):
        self._queue.clear()

    def is_pending(self):
        """Whether a worker is to be replaced, or leaves because of a successor that starts."""
        return bool(self._queue) or self._workers.starting()

    def waits(self):
        """Whether the next step waits only for the end of a pause."""
        return bool(self._queue) and not self._workers.starting()

    def step(self):
        """Starts the next successor, unless a worker is starting."""
        if self._workers.starting():
            return
        while self._queue and not self._failures.pauses():
            old = self._queue[0]
            if old.state != SERVING or old.number > self._workers.wanted:
                self._queue.pop(0)
            elif self._workers.start([old.number], replaces=old):
                self._queue.remove(old)
                self._answered = self._requests
                return
            else:
                self._failures.pause()

    def give_up(self):
        """A successor ended before it served. What was requested since its start may have other code."""
        self._failures.pause()
        if self._requests > self._answered:
            return
        self._queue.clear()
        self.retry_limits()

    def retry_limits(self):
        """Those at a limit are requested again later: they report it only once."""
        for worker in self._workers:
            if worker.at_limit and worker.state == SERVING:
                worker.deadline = time.monotonic() + LONGEST_PAUSE
