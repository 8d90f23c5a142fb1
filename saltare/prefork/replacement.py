"""How a master replaces its workers (SIGHUP, changed files, a new count), and itself by a new program."""

import os
import time

from .. import log
from ..process.attempt import started
from .counters import Counters
from .spawn import LEAVING, SERVING, Worker
from .worker_count import wanted_workers

SPARE_SLOTS = 16  # for workers leaving while their successors serve, and for SIGTTIN


class Replacement:
    """The part of a master that replaces workers. Its fields are those of Master, which calls these methods."""

    # ---- SIGHUP ----

    def _renew(self):
        """SIGHUP: replaces the workers, with the code now on disk."""
        if self._watcher is not None:
            self._restart()
        elif not self._preload.by_master():
            self._roll_over()
        elif self._command.repeatable():
            self._trial.request()
        else:
            log.warning("this program cannot be started again: the new workers have the code of the old ones")
            self._queue_all()

    def _roll_over(self):
        """For workers that each import the app, from the folder that now has the name."""
        why = started(self._command.enter)[1]
        if why is None:
            self._queue_all()
        else:
            log.error(f"SIGHUP: the code on disk cannot be loaded: {why}; the workers go on with what they have")

    def _queue_all(self):
        self._forget_failures()
        self._queue += [one for one in self._workers.values() if one.state != LEAVING and one not in self._queue]

    def _forget_failures(self):
        """A requested restart: its failures count anew."""
        self._failures, self._spawn_at = 0, 0.0
        self._shown.clear()

    def _tried(self, status):
        if self._stopping:
            self._trial.pid = None
        elif self._trial.ended(status) == "passed":
            repeat = (self._command.repeat, *self._handover_state(), True, self._signals.put_back)
            why = started(self._spare.attempt, *repeat)[1]
            log.error(f"SIGHUP: the new program cannot be started: {why}; the workers go on with what they have")

    # ---- from one program to the next ----

    def _handover_state(self):
        """The state for the next program, and the descriptors that it inherits."""
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

    def _adopt(self, inherited):
        """Takes over the workers of the previous program."""
        for pid, number, slot, pipe, state, replaces in inherited.get("workers", ()):
            worker = self._workers[pid] = Worker(pid, number, slot, pipe)
            worker.state, worker.replaces = state, replaces
            worker.deadline = self._patience() if state == LEAVING else None
        for worker in self._workers.values():
            worker.replaces = self._workers.get(worker.replaces)

    def _plan(self, inherited):
        """Queues those workers for replacement, if the master has loaded the app."""
        if not self._workers:
            return
        self.started = True
        if self._wanted == inherited["configured"] or not self._has_slots(self._wanted):
            self._wanted = inherited["wanted"]
        if self._preload.failed:
            return
        log.info(f"the master has loaded the app anew (pid {os.getpid()}); its workers are replaced")
        self._queue = [worker for worker in self._workers.values() if worker.state != LEAVING]

    def _table(self, inherited):
        if "counters" in inherited:
            table = Counters.inherited(*inherited["counters"])
            if table is not None:
                return table
            for worker in self._workers.values():
                worker.slot = 0  # its slot is in the old table
        return Counters.made(self._wanted * 2 + SPARE_SLOTS)

    # ---- one worker after another ----

    def _resize(self, wanted):
        if wanted < 1 or self._watcher is not None:
            return
        if not self._has_slots(wanted):
            return
        self._wanted = wanted
        log.info(f"workers wanted: {wanted}")
        self._dismiss_surplus()

    def _has_slots(self, wanted):
        """Two for each worker, since it may have a successor while it leaves."""
        enough = wanted * 2 <= self._counters.slots
        if not enough:
            log.warning(f"there is no room for {wanted} workers; stop, and start again with another --workers")
        return enough

    def _dismiss_surplus(self):
        for worker in list(self._workers.values()):
            if worker.number > self._wanted:
                self._dismiss(worker)

    def _roll(self):
        """Replaces the queued workers one at a time. The old worker leaves only when the new one serves."""
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
        """Each worker leaves first; then another starts, with the code then on disk."""
        self._forget_failures()
        for worker in self._workers.values():
            self._dismiss(worker)
