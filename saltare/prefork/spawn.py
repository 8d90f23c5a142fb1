"""From the decision to start a worker until it is a process of its own: per process."""

import os
import signal
import sys
import time
from contextlib import suppress
from errno import ENOSPC

from ..process.attempt import shut
from ..process.signals import OF_A_MASTER, restore_mask
from .worker import Place, live

STARTING, SERVING, LEAVING = "starting", "serving", "leaving"


class Worker:
    """What the master knows of one."""

    def __init__(self, pid, number, slot, pipe):
        self.pid, self.number, self.slot, self.pipe = pid, number, slot, pipe
        self.state = STARTING
        self.served = False
        self.born = time.monotonic()
        self.deadline = None  # what happens then depends on the state
        self.replaces = None  # the worker that leaves once this one serves
        self.words = b""  # the beginning of a line
        self.unsent = None  # a signal that it could not be sent

    def __repr__(self):
        return f"worker {self.number} (pid {self.pid})"

    def age(self):
        return time.monotonic() - self.born


class Spawner:
    """Forks the workers of one master."""

    def __init__(self, config, listeners, counters, signals, spare):
        self._config, self._listeners, self._counters = config, listeners, counters
        self._signals, self._spare = signals, spare
        self._pid = os.getpid()

    def start(self, number, others):
        """A new Worker, of whom nobody knows yet. OSError: it is none, and nothing is left of the attempt.

        `others` are descriptors of the master's that it must not keep.
        """
        slot = self._counters.take()
        if slot == 0:
            raise OSError(ENOSPC, f"all {self._counters.slots} slots are taken")
        try:
            reader, writer = self._spare.attempt(os.pipe2, os.O_CLOEXEC)
            try:
                pid = self._fork(number, slot, writer, [reader, *others])
            except BaseException:
                shut(reader)
                raise
            finally:
                shut(writer)
        except BaseException:
            with suppress(OSError):  # a slot less
                self._counters.give_back(slot)
            raise
        return Worker(pid, number, slot, reader)

    def _fork(self, number, slot, writer, others):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):  # closed, or on a full disk
                    stream.flush()  # else the child would write it once more
        before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_A_MASTER)
        pid = None
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(number, slot, writer, others, before)
        finally:
            if pid != 0:
                restore_mask(before)
        return pid

    def _become_worker(self, number, slot, writer, others, mask):
        """In the child: leaves behind what is the master's. It does not return."""
        try:
            for fd in others:
                shut(fd)
            self._spare.close()
            self._signals.leave()
            place = Place(self._config, self._listeners, self._counters.fd, number, slot, writer)
            live(place, self._pid, self._signals.before, mask)
        finally:
            os._exit(1)
