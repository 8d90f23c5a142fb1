"""The server in a worker of gunicorn: the arbiter's sockets, signals, heartbeat and end."""

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial

from ..listen.passed import of_program
from ..memory.idle import Cleanup
from ..memory.park import seal_pool
from ..prefork.counters import Counters
from ..process import forks
from ..serve.selector import new_loop
from ..serve.server import Server
from ..serve.signals import Signals
from ..serve.visible import Visible

BEATS = 5  # in half of gunicorn's `timeout`, so that a loop may be blocked for nine tenths of it
PARENT_INTERVAL = 1.0  # seconds between two looks at the parent where `timeout` is 0, as in gunicorn's own workers
QUICK = 0.1  # seconds that requests, and then the app's shutdown, get after SIGQUIT, as in gunicorn
GRACEFUL, AT_ONCE = 1, 2


class WorkerServer(Server):
    """Serves from the sockets of `worker`, a SaltareWorker."""

    def __init__(self, config, worker):
        super().__init__(config)
        self._worker = worker
        self._cut_by = None  # the signal that asked for an end at once
        self._arbiter = None  # a descriptor that becomes readable when the arbiter ends
        self.cleanup = Cleanup(config, shares=worker.config.shares_heap)
        self.after_start = self._finish_start_up

    def _finish_start_up(self):
        self.cleanup.begin()
        if self._worker.config.shares_heap and self._worker.age >= self._worker.cfg.workers:
            seal_pool()  # all of the first workers have started

    # ---- stops ----

    def stop_at_once(self, why):
        """Cancels requests in progress. May be called from a signal handler."""
        self._worker.alive = False
        self._cut_by = self._cut_by or why
        self._stop.request(why, AT_ONCE)

    def _leave(self, why):
        """Stops gracefully. Arbiters repeat SIGTERM while a worker drains."""
        self._worker.alive = False
        self._stop.request(why, GRACEFUL)

    def _quit(self, why):
        """SIGINT and SIGQUIT, which come together from a terminal."""
        if self._cut_by is None:
            self.stop_at_once(why)
            self._worker.cfg.worker_int(self._worker)

    async def _in_time(self, future, timeout):
        await super()._in_time(future, timeout)
        if self._cut_by is not None and not future.done():
            await asyncio.wait([future], timeout=QUICK)

    def _why_cut(self):
        return self._cut_by or f"graceful_timeout of {self._worker.cfg.graceful_timeout:g} s is nearly over"

    # ---- parts of a Server ----

    def _listen(self):
        sockets = self._worker.sockets
        self._listen_at(of_program(self.config, sockets))
        for one in sockets:
            forks.call_in_child(one.close)

    def _signals(self, loop):
        if signal.getsignal(signal.SIGQUIT) == self._worker.handle_quit:
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a handler would count as the app's
        actions = {
            signal.SIGTERM: partial(self._leave, "SIGTERM"),
            signal.SIGINT: partial(self._quit, "SIGINT"),
            signal.SIGQUIT: partial(self._quit, "SIGQUIT"),
        }
        signals = Signals(loop, actions, lambda formers: Visible(self.stopping, formers).handle_exit)
        signals.afterwards = signal.SIG_IGN  # the process ends then, and Python's end would restore the default action
        return signals

    def _new_loop(self, core, guest):
        return super()._new_loop(core, guest) if guest else new_loop(core)  # imported before the fork

    def _core_options(self, guest):
        worker, most = self._worker, self._worker.config.limit_max_requests or 0
        if most:
            jitter = self._worker.config.limit_max_requests_jitter
            most += int.from_bytes(os.urandom(8), "little") % (jitter + 1)
        if not worker.slot:
            worker.counters = Counters.made(1)
            worker.slot = worker.counters.take()
        return {
            **super()._core_options(guest),
            "counters": worker.counters.fd,
            "slot": worker.slot,
            "number": worker.age,
            "retire_requests": most,
            "retire_rss": self.config.limit_max_rss << 20,
        }

    def _new_core(self, guest):
        core = super()._new_core(guest)
        core.on_retire = lambda why: self._leave(f"{why}, the arbiter replaces this worker")
        return core

    async def _life(self, core, guest):
        self._watch(asyncio.get_running_loop())
        await super()._life(core, guest)

    async def _drain(self, core, starter):
        for one in self._worker.sockets:
            one.close()  # ours are copies
        await super()._drain(core, starter)

    def _end(self):
        super()._end()
        for one in self._worker.sockets:
            forks.forget_call(one.close)
        if self._arbiter is not None:
            os.close(self._arbiter)
            self._arbiter = None

    # ---- the arbiter ----

    def _watch(self, loop):
        """Until the loop ends."""
        loop.add_reader(self._worker.PIPE[0], self._woken)
        with suppress(OSError):  # without pidfd_open(2), or too late: then the heartbeat finds out
            self._arbiter = os.pidfd_open(self._worker.ppid)
            loop.add_reader(self._arbiter, self._orphaned, loop)
        self._beat(loop)
        if self.config.limit_worker_lifetime:
            why = "limit_worker_lifetime is over, the arbiter replaces this worker"
            loop.call_later(self.config.limit_worker_lifetime, self._leave, why)

    def _beat(self, loop):
        worker = self._worker
        worker.notify()
        if os.getppid() != worker.ppid:
            self._leave("the arbiter has gone")
        self._look(worker)
        loop.call_later(worker.timeout / BEATS or PARENT_INTERVAL, self._beat, loop)

    def _orphaned(self, loop):
        loop.remove_reader(self._arbiter)
        self._leave("the arbiter has gone")

    def _woken(self):
        """gunicorn's reloader writes to the pipe from its thread."""
        with suppress(BlockingIOError):
            os.read(self._worker.PIPE[0], 4096)
        self._look(self._worker)

    def _look(self, worker):
        if not worker.alive:  # also set by hooks
            self._leave("the worker is to be replaced")
