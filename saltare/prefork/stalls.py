"""Workers whose loop does not turn although requests wait (worker_timeout), found in the table of counters."""

import select
import time

CHECKS = 4  # in the time of worker_timeout


class Stalls:
    """Those of one master. It asks nothing of the workers, so Python may hang in them."""

    def __init__(self, limit, workers, resources):
        self._limit, self._workers, self._counters = limit, workers, resources.counters
        self._backlogs = select.poll()
        for listener in resources.listeners:
            self._backlogs.register(listener, select.POLLIN)
        self._seen = {}  # pid: (the turn it was seen in, since when)
        self.check_at = time.monotonic()

    def check(self):
        """The workers that have been in the same turn for longer than the limit."""
        now = time.monotonic()
        if now < self.check_at:
            return []
        self.check_at = now + self._limit / CHECKS
        before, self._seen = self._seen, {}
        waiting = bool(self._backlogs.poll(0))
        for worker in self._workers:
            if not worker.slot or worker.stalled or not worker.watched:
                continue
            turn, connected = self._counters.turn(worker.slot)
            if turn and (connected or waiting):
                seen, since = before.get(worker.pid, (turn, now))
                self._seen[worker.pid] = (turn, since if seen == turn else now)
        return [worker for worker in self._workers if now - self._seen.get(worker.pid, (0, now))[1] >= self._limit]
