"""SIGHUP without a master: the process becomes a new program, with the code on disk and the same sockets.

First a trial tests whether that code loads. Then the server drains, while new connections wait in the backlog of
listening sockets kept open, and the process execs the new program.
"""

import os
import signal
import time

from .. import log
from ..process.attempt import reason, shut, started
from ..process.ending import finish
from ..process.programs import waited
from ..process.signals import STOPPING
from ..process.terminal import hung_up
from ..process.threads import StopRequested
from .handover import Command
from .trial import Trial


class Renewal:
    """For one server."""

    def __init__(self, server, origin):
        self._server, self._command = server, Command(origin)
        self._trial = Trial(self._command, server.config.worker_start_timeout, "the server keeps serving the old code")
        self._loop = self._ends = self._timer = None  # during a trial: loop, pidfd, timer of its deadline
        self._kept = None  # descriptors of the listening sockets, by key, once the trial has passed
        self._later = False  # a SIGHUP came that could not be handled yet
        self._postponed = None  # the Postponed signals, once the loop ends

    def request(self, loop):
        """SIGHUP."""
        if self._server.notifier is not None and not self._server.stopping():
            self._server.notifier.reloading()
        self._request(loop)
        self._report()

    def _report(self):
        """To systemd: a reload that has ended without a new program."""
        notifier = self._server.notifier
        if notifier is not None and notifier.reloads and self._trial.pid is None and self._kept is None:
            notifier.ready()

    def _request(self, loop):
        self._loop = loop
        if hung_up():
            self._server.shutdown()
        elif not self._command.repeatable():
            log.warning("SIGHUP: this program cannot be restarted: the server keeps serving the old code")
        elif self._kept is not None:
            log.info("SIGHUP: the new code is tried again once the new program serves")
            self._later = True
        elif self._server.stopping():
            log.info("SIGHUP: the server is stopping: the new code is not tried")
        elif not self._server.started:
            log.info("SIGHUP: the new code is tried once the server serves")
            self._later = True
        elif self._trial.request():
            self._watch()

    def served(self):
        """The server accepts."""
        if self._later:
            self._later = False
            self.request(self._loop)

    def _watch(self):
        self._ends, why = started(os.pidfd_open, self._trial.pid)
        if self._ends is None:
            self._trial.give_up()
            log.error(f"SIGHUP: cannot watch the trial of the new code: {why}; the server keeps serving the old code")
            return
        self._loop.add_reader(self._ends, self._tried)
        self._time()

    def _time(self):
        if self._trial.deadline is not None:
            self._timer = self._loop.call_later(
                max(0, self._trial.deadline - self._loop.time()), self._check
            )  # a loop's time is time.monotonic()

    def _check(self):
        self._trial.check()
        self._time()

    def _tried(self):
        try:
            status = waited(self._trial.pid)
        except OSError as error:
            log.error(f"SIGHUP: cannot wait for the trial of the new code: {reason(error)}")
            return  # the descriptor stays readable, so the loop calls again
        if status is None:
            return
        self._unwatch()
        outcome = self._trial.ended(status[1])
        if outcome == "again":
            self._watch()
        elif outcome == "passed" and self._server.started:
            kept, why = started(self._server.hand_over)
            if kept is None:
                log.error(f"SIGHUP: cannot keep the listening sockets: {why}; the server keeps serving the old code")
            self._kept = kept
        self._report()

    def _unwatch(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends is not None:
            self._loop.remove_reader(self._ends)
            shut(self._ends)
            self._ends = None

    def give_up(self, signals):
        """Called before the loop and its Signals end."""
        self._unwatch()
        self._trial.give_up()
        if self._kept is not None:
            self._postponed = Postponed(signals)

    def follow(self, wanted, until):
        """After the server has ended: becomes the new program, if that was the reason and is still `wanted`.

        Waits for threads of the app until `until` (time.monotonic). Returns the sockets to serve again with, by key,
        if the program cannot be started; None if there is nothing to do, or a signal to stop has come.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        descriptors = [fd for fds in kept.values() for fd in fds]
        if wanted:
            why = started(self._become, kept, descriptors, until)[1]
            if why is not None:
                log.error(f"SIGHUP: cannot start the new program: {why}; the server keeps serving the old code")
                self._postponed.resume()
                return kept
            self._server.until = time.monotonic()  # no further wait for threads
        for fd in descriptors:
            shut(fd)
        self._postponed.end()
        return None

    def _become(self, kept, descriptors, until):
        """Returns only if a signal to stop has come. OSError."""
        self._command.check()
        stop_requested = StopRequested.by_signals()
        finish(0, until, stop_requested=stop_requested)
        for number in stop_requested.taken:
            self._postponed.note(number)
        if self._later:
            self._postponed.note(signal.SIGHUP)
        if not self._postponed.stops():
            state, tickets = {"listeners": kept}, self._server.config.tickets
            if tickets is not None:
                state["tickets"] = tickets.fileno()
                descriptors = [*descriptors, tickets.fileno()]
            self._command.repeat(state, descriptors, blocked=self._postponed.pass_on)


class Postponed:
    """Records signals between the end of a loop and the new program, or the same server again. Blocking them would
    not suffice: other threads, such as the core's, do not block them.
    """

    def __init__(self, signals):
        self._signals, self._noted = signals, []
        signals.afterwards = self.note

    def note(self, number, frame=None):
        """A signal handler."""
        self._noted.append(number)

    def stops(self):
        """Whether a signal to stop has come."""
        return any(number in STOPPING for number in self._noted)

    def pass_on(self):
        """Raises them again: this thread blocks them, and they stay pending across exec."""
        for number in dict.fromkeys(self._noted):
            signal.raise_signal(number)

    def resume(self):
        """For a server that runs again."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals.before)
        self._signals.restore()
        self.pass_on()

    def end(self):
        """Nothing follows: the requested stop is complete."""
        self._signals.restore()
        for number in dict.fromkeys(self._noted):
            if number in STOPPING:
                log.info(f"stopping: {signal.Signals(number).name}")
