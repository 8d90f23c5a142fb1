"""The signals of a master, as bytes of a pipe, and how a worker resets them."""

import os
import signal
import time
from contextlib import suppress
from functools import partial

from ..cpython import raw_signal
from ..process import forks, ignored
from ..process.ignored import caught
from ..process.signals import OF_A_MASTER, STOPPING, TOGETHER, restore

OF_A_TERMINAL = (signal.SIGINT, signal.SIGHUP)
STOP = 0  # for `send`: a stop without a signal


class SignalPipe:
    """A context in which `read` takes signals out of a pipe. At its end the former handlers are restored."""

    def __init__(self):
        self.before = {}  # the former handlers
        self._ignored = []
        self._reader = self._writer = -1
        self._wakeup_before = None
        self._taken = b""  # numbers that were read and not yet returned

    def __enter__(self):
        try:
            self._open()
        except BaseException:
            self._restore()
            raise
        return self

    def _open(self):
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._ignored = ignored.ignore()
        for number in OF_A_MASTER:
            if number == signal.SIGQUIT and not ignored.is_free(number):
                continue
            self.before[number] = raw_signal.getsignal(number)  # not as an enum: reset_signals says why
            signal.signal(number, caught)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_A_MASTER)

    def __exit__(self, *exc):
        self._restore()

    def _restore(self):
        before, self.before = self.before, {}
        steps = [partial(restore, {number: handler}) for number, handler in before.items()]
        steps += [partial(ignored.restore, [number]) for number in self._ignored]
        if self._wakeup_before is not None:
            steps.append(partial(signal.set_wakeup_fd, self._wakeup_before))
        failure = None
        for step in steps:
            try:
                step()
            except OSError as error:
                failure = error
        self.leave()
        if failure is not None:
            raise failure

    def leave(self):
        """For a forked child, which handles its own signals."""
        for fd in (self._reader, self._writer):
            if fd >= 0:
                with suppress(OSError):  # the descriptor is closed even then
                    os.close(fd)
        self._reader = self._writer = -1

    def fileno(self):
        return self._reader

    def read(self):
        """The numbers of the signals since the last call, in order; signals to stop that come together count once.

        OSError: no signal is lost; a later call returns them.
        """
        self._taken += self._read()
        if any(number in STOPPING for number in self._taken):
            time.sleep(TOGETHER)
            with suppress(OSError):  # unread signals stay in the pipe
                self._taken += self._read()
            self._taken = bytes(once(self._taken))
        numbers, self._taken = self._taken, b""
        return numbers

    def _read(self):
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def put_back(self):
        """Makes unreturned signals pending again while all are blocked, since exec loses the pipe."""
        self._taken += self._read()
        for number in set(self._taken) - {signal.SIGCHLD}:
            signal.raise_signal(number or signal.SIGTERM)
        self._taken = b""

    def send(self, number):
        """Acts as the signal, or STOP, from any thread."""
        try:
            os.write(self._writer, bytes([number]))
        except OSError:
            os.kill(os.getpid(), number or signal.SIGTERM)


def once(numbers):
    """Keeps only the first signal to stop."""
    stops = False
    for number in numbers:
        if number not in STOPPING or not stops:
            yield number
        stops = stops or number in STOPPING


def reset_signals(handlers, mask):
    """For a forked worker: clears the wake-up descriptor and restores the handlers from before the master's.

    A terminal sends interrupts and hang-ups to all its processes, so a worker leaves them to the master; a child that
    the app forks does not. It uses raw_signal: `signal` makes enums of all numbers, which writes to pages shared with
    the master.
    """
    raw_signal.set_wakeup_fd(-1)
    restore(handlers)
    forks.call_in_child(partial(leave_worker, {number: handlers[number] for number in OF_A_TERMINAL}))
    for number in OF_A_TERMINAL:
        raw_signal.signal(number, caught)
    raw_signal.signal(raw_signal.SIGTERM, raw_signal.SIG_DFL)
    ignored.ignore_early()
    raw_signal.pthread_sigmask(raw_signal.SIG_SETMASK, mask)


def leave_worker(handlers):
    """For a child that the app of a worker forks."""
    restore(handlers)
    ignored.restore()
