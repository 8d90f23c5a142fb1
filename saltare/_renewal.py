"""SIGHUP without a master: the one process serves on with the code on disk, from the same sockets: per process.

A trial first finds out whether that code loads. Then the server drains while connections wait at the sockets, of which
copies are kept, and the process becomes the new program.
"""

import os

from . import _logging
from ._ending import finish
from ._handover import PASSED, Command, ended
from ._signal_pipe import hung_up


class Renewal:
    """Of one server."""

    def __init__(self, server, origin):
        self._server, self._command = server, Command(origin)
        self._loop = self._trial = self._ends = None  # pid and pidfd of the trial
        self._kept = None  # descriptors of the listening sockets, by key, once the trial has passed

    def heed(self, loop):
        """SIGHUP."""
        if hung_up():
            self._server.shutdown()
        elif not self._server.started or self._trial is not None:
            return
        elif not self._command.repeatable():
            _logging.warning("SIGHUP: this program cannot be started again: it goes on with the code that it has")
        else:
            _logging.info("SIGHUP: the code on disk is tried")
            self._loop, self._trial = loop, self._command.try_out()
            self._ends = os.pidfd_open(self._trial)
            loop.add_reader(self._ends, self._tried)

    def _tried(self):
        code = os.waitstatus_to_exitcode(self._forget_trial())
        if code != PASSED:
            _logging.error(f"SIGHUP: the code on disk {ended(code)}; the server goes on with what it has")
        elif self._server.started:
            self._kept = self._server.hand_over()

    def _forget_trial(self):
        self._loop.remove_reader(self._ends)
        os.close(self._ends)
        pid, self._trial = self._trial, None
        return os.waitpid(pid, 0)[1]

    def give_up(self):
        """The loop is about to end."""
        if self._trial is not None:
            import signal

            os.kill(self._trial, signal.SIGKILL)
            self._forget_trial()

    def follow(self, wanted, until):
        """After the server's end: becomes the new program, if that is what it ended for and still is `wanted`.

        Threads of the app are waited for until then (time.monotonic).
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return
        descriptors = [fd for fds in kept.values() for fd in fds]
        if wanted:
            finish(0, until, hurried=False)
            self._command.repeat({"listeners": kept}, descriptors)
        for fd in descriptors:
            os.close(fd)
