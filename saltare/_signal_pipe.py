"""The signals that a master heeds, what a worker does with them, and what SIGHUP means on a terminal: per process."""

import _signal
import os
import select
import signal
import stat
import time
from functools import partial

from . import _children
from ._signals import STOPPING, TOGETHER, restore

OF_A_TERMINAL = (signal.SIGINT, signal.SIGHUP)
STOP = 0  # what `send` is given when nobody sent a signal
HEEDED = (*STOPPING, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)  # by the master


class SignalPipe:
    """Within it, signals are bytes that `read` takes out of a pipe. Afterwards they do what they did before."""

    def __init__(self):
        self.before = {}  # the handlers
        self._reader = self._writer = -1

    def __enter__(self):
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in HEEDED:
            self.before[number] = _signal.getsignal(number)  # not as an enum: start_anew says why
            signal.signal(number, heard)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
        return self

    def __exit__(self, *exc):
        restore(self.before)
        signal.set_wakeup_fd(self._wakeup_before)
        self.leave()

    def leave(self):
        """For a forked child, whose signals are its own."""
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self):
        return self._reader

    def read(self):
        """The numbers of the signals that came since, in order; of signals to stop that come together only one."""
        numbers = self._read()
        if not any(number in STOPPING for number in numbers):
            return numbers
        time.sleep(TOGETHER)
        return bytes(once(numbers + self._read()))

    def _read(self):
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def send(self, number):
        """The same as the signal, or STOP, from any thread."""
        os.write(self._writer, bytes([number]))


def once(numbers):
    """Without the signals to stop that follow one."""
    told = False
    for number in numbers:
        if number not in STOPPING or not told:
            yield number
        told = told or number in STOPPING


def hung_up():
    """Whether the terminal we were started on is gone, which is what SIGHUP means there."""
    poll = select.poll()
    for fd in range(3):
        if is_character_device(fd):
            poll.register(fd, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def is_character_device(fd):
    try:
        return stat.S_ISCHR(os.fstat(fd).st_mode)
    except OSError:
        return False


def heard(number, frame):
    """Does nothing: the wake-up descriptor has the number. Unlike SIG_IGN it is not passed on to programs."""


def start_anew(handlers, mask):
    """For a forked worker: no wake-up descriptor, and of those signals that the master heeds what they did before it.

    Interrupts and hang-ups of a terminal go to all its processes, so a worker lets the master decide; a child of the
    app's does not. It is `_signal` that is called, since `signal` makes enums of all numbers: pages written that the
    worker shared with the master.
    """
    _signal.set_wakeup_fd(-1)
    restore(handlers)
    _children.promise(partial(restore, {number: handlers[number] for number in OF_A_TERMINAL}))
    for number in OF_A_TERMINAL:
        _signal.signal(number, heard)
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
