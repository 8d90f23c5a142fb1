"""A forked worker: the same server as that of a single process, on sockets that the master bound.

It reports to the master by lines in a pipe: `serves FLAVOUR`, `replace WHY`, `failed TEXT`, `unwatched`.
"""

import os
import signal
from collections import namedtuple

from .. import _process, log
from ..memory.idle import Cleanup
from ..process import title
from ..process.ending import leave
from ..process.exit_codes import explained
from ..process.signals import STOP_NOW
from ..serve.core import module
from ..serve.selector import new_loop
from ..serve.server import Server
from ..serve.signals import Signals, log_actions
from .signal_pipe import reset_signals

SERVES, REPLACE, FAILED = "serves", "replace", "failed"
UNWATCHED = "unwatched"  # worker_timeout does not apply
SEPARATOR = "\x1e"  # replaces the line breaks of a text

# A worker's input: its configuration, the master's listeners, the descriptors of the tables of counters and of
# addresses (0: there is none), the worker's number (from 1), its slot in both tables, and the descriptor of its pipe to
# the master.
Assignment = namedtuple("Assignment", "config listeners counters addresses number slot pipe")


class WorkerServer(Server):
    """A Server that leaves listeners, start-up line and terminal signals to the master."""

    @classmethod
    def at(cls, assignment):
        server = cls(assignment.config)
        server._assignment, server._report_to_master = assignment, Reporter(assignment.pipe)
        server.number = assignment.number
        config = assignment.config
        server.cleanup = Cleanup(config, None if config.preloads() else config.park_memory, shares=config.shares_heap())
        return server

    def run(self):
        """Serves until stopped; returns the exit code. Reports the error that ended it to the master."""
        text, code = explained(self.run_here)
        if text:
            self._report_to_master(FAILED, text)
        return code or int(not self.graceful)

    def _begin(self):
        if not self.config.preloads():  # otherwise the master has done it
            from ..memory.shared_code import SharedCode
            from ..restart.fresh_code import FreshCode

            with SharedCode(self.config.uses("shared-code")), FreshCode():
                log.import_again()
                super()._begin()

    def _listen(self):
        super()._listen_at(list(self._assignment.listeners))

    def _signals(self, loop):
        actions = {signal.SIGTERM: self._leave, signal.SIGQUIT: self._leave, STOP_NOW: self._stop_now}
        return Signals(loop, {**actions, **log_actions(self)})

    def _log_reason(self):
        """The master has logged why."""

    def _leave(self):
        """Once: the master's SIGTERM may follow one sent to the whole process group."""
        if self._stop.count() == 0:
            self.shutdown()

    def _stop_now(self):
        self._leave()
        self.shutdown()

    def _why_cut(self):
        why = super()._why_cut()
        if self.config.reload and self.config.sources["shutdown_timeout"] == "default":
            why += " (that of --reload; --shutdown-timeout gives another)"
        return why

    def _new_loop(self, core, guest):
        return super()._new_loop(core, guest) if guest else new_loop(core)  # imported before the fork

    def _core_options(self, guest):
        config = self.config
        most = config.limit_max_requests
        if most:
            most += int.from_bytes(os.urandom(8), "little") % (config.limit_max_requests_jitter + 1)
        return {
            **super()._core_options(guest),
            "counters": self._assignment.counters,
            "addresses": self._assignment.addresses,
            "slot": self._assignment.slot,
            "number": self._assignment.number,
            "retire_requests": most,
            "retire_rss": config.limit_max_rss << 20,
        }

    def _new_core(self, guest):
        core = super()._new_core(guest)
        core.on_retire = self._retire
        if guest and self.config.worker_timeout:  # the table of counters shows turns of saltare's own loop only
            self._report_to_master(UNWATCHED, "")
        return core

    def _announce(self):
        self.started = True
        self.cleanup.begin()
        self._report_to_master(SERVES, module(self.config).build_info()["flavour"])

    def _retire(self, why):
        self._report_to_master(REPLACE, why)


def run_worker(assignment, parent, handlers, mask):
    """A worker's whole life, in the forked child; it does not return."""
    code, until = 1, 0.0
    try:
        reset_signals(handlers, mask)
        _process.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        if assignment.config.worker_cpus is not None:
            from .cpus import pin

            pin(assignment.config.worker_cpus, assignment.number)
        title.set_title(f"saltare:wkr{assignment.number}")
        assignment.config.shutdown_timeout = assignment.config.patience()
        assignment.config.drain_delay = 0.0  # the master waits
        server = WorkerServer.at(assignment)
        code, until = server.run(), server.until
    except BaseException as error:
        log.write(log.traceback_of(error))
    finally:
        leave(code, until)  # without finalizing the frames and objects inherited from the master


class Reporter:
    """Writes lines to the master; called with a word and a text."""

    def __init__(self, pipe):
        self._pipe = pipe

    def __call__(self, word, text):
        line = f"{word} {text}".replace("\n", SEPARATOR)
        log.write_all(self._pipe, f"{line}\n".encode("utf-8", "backslashreplace"))
