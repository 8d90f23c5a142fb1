"""The trial of the code on disk: a child that runs the same command, loads the app and exits."""

import os
import signal
import time

from .. import log
from ..process.attempt import reason, started
from ..process.programs import end_now, ended
from .handover import PASSED


class Trial:
    """One at a time. A SIGHUP during a trial starts another after it, since the first may have read older files."""

    def __init__(self, command, limit, otherwise):
        self.pid = None  # of the child, while there is one
        self.deadline = None  # time.monotonic() at which it is killed
        self._command, self._limit = command, limit  # seconds; 0: no limit
        self._otherwise = otherwise  # the consequence of a failed trial, for the log
        self._again = self._is_over = False

    def request(self):
        """SIGHUP. Returns whether a trial has begun."""
        if self.pid is not None:
            if not self._again:
                log.info("SIGHUP: the new code is tried again when the trial in progress ends")
            self._again = True
            return False
        log.info("SIGHUP: trying the new code")
        return self._begin()

    def _begin(self):
        self._again = self._is_over = False
        pid, why = started(self._command.try_out)
        if pid is None:
            log.error(f"SIGHUP: cannot try the new code: {why}; {self._otherwise}")
            return False
        self.pid = pid
        self.deadline = time.monotonic() + self._limit if self._limit else None
        return True

    def check(self):
        """Kills it at its deadline."""
        if self.deadline is not None and self.deadline <= time.monotonic():
            self.deadline, self._is_over = None, True
            self.kill()

    def kill(self):
        if self.pid is not None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended
            except OSError as error:
                log.error(f"cannot kill the trial of the new code (pid {self.pid}): {reason(error)}")
                self.deadline = time.monotonic() + 1  # to retry

    def ended(self, status):
        """Handles its exit status. Returns "passed", "failed", or "again" if another trial has begun."""
        code = os.waitstatus_to_exitcode(status)
        self.pid = self.deadline = None
        if code != PASSED:
            what = f"did not end within {self._limit:g} s" if self._is_over else ended(code)
            log.error(f"SIGHUP: the trial of the new code {what}; {self._otherwise}")
        if self._again:
            log.info("SIGHUP: trying the new code again")
            return "again" if self._begin() else "failed"
        return "passed" if code == PASSED else "failed"

    def give_up(self):
        """Kills it and waits for its end."""
        if self.pid is not None:
            end_now(self.pid)
        self.pid = self.deadline = None
        self._again = False
