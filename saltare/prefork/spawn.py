"""Forks workers."""

import os
import signal
import sys
import time
from contextlib import suppress
from errno import ENOSPC

from ..process.attempt import shut, started
from ..process.signals import OF_A_MASTER, restore_mask
from .worker import Assignment, run_worker

STARTING, SERVING, LEAVING = "starting", "serving", "leaving"


class Worker:
    """The master's record of one."""

    def __init__(self, pid, number, slot, pipe, born=None):
        self.pid, self.number, self.slot, self.pipe = pid, number, slot, pipe
        self.state = STARTING
        self.served = False
        self.watched = True  # worker_timeout applies
        self.stalled = False  # it is killed because its loop did not turn
        self.at_limit = False  # it is to be replaced, whatever the code
        self.born = time.monotonic() if born is None else born  # the same clock in the next program
        self.deadline = None  # its meaning depends on the state
        self.replaces = None  # the worker that leaves once this one serves
        self.unread = b""  # an incomplete line
        self.unsent = None  # a signal whose kill(2) failed, to retry

    def __repr__(self):
        return f"worker {self.number} (pid {self.pid})"

    def age(self):
        return time.monotonic() - self.born


class Reservation:
    """What a worker needs before its fork: a number, a slot in the table, and a pipe."""

    def __init__(self, number, slot, pipe):
        self.number, self.slot, (self.reader, self.writer) = number, slot, pipe

    def close(self):
        shut(self.reader)
        shut(self.writer)


class Spawner:
    """Forks the workers of one master."""

    def __init__(self, config, listeners, counters, signals, spare):
        self._config, self._listeners, self._counters = config, listeners, counters
        self._signals, self._spare = signals, spare
        self._pid = os.getpid()
        self._mask = None  # the signal mask from before the forks, while it is to be restored

    def start(self, numbers, others):
        """Forks a Worker for each of the numbers. Returns the new Workers, and why there are not more, or None.
        A failed attempt leaves nothing behind. `others` are descriptors of the master that workers close.
        """
        reserved, why = [], None
        for number in numbers:
            one, why = started(self._prepare, number)
            if one is None:
                break
            reserved.append(one)
        pids = [0] * len(reserved)
        why = started(self._fork, reserved, pids, others)[1] or why
        workers = []
        for one, pid in zip(reserved, pids, strict=True):
            if pid == 0:
                self._discard(one)
            else:
                shut(one.writer)
                workers.append(Worker(pid, one.number, one.slot, one.reader))
        return workers, why

    def _prepare(self, number):
        slot = self._counters.take()
        if slot == 0:
            raise OSError(ENOSPC, f"all {self._counters.slots} slots are taken")
        try:
            return Reservation(number, slot, self._spare.attempt(os.pipe2, os.O_CLOEXEC))
        except BaseException:
            self._free(slot)
            raise

    def _discard(self, one):
        one.close()
        self._free(one.slot)

    def _free(self, slot):
        with suppress(OSError):  # the slot is lost then
            self._counters.free(slot)

    def _fork(self, reserved, pids, others):
        """Fills in the pids. OSError: those that are 0 could not be forked.

        Workers share equal pages, down to the addresses of new objects and the versions that the interpreter gives to
        dicts and types. So the master does nothing between two forks that would make the workers differ.
        """
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):  # closed, or on a full disk
                    stream.flush()  # otherwise the children would write it again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, OF_A_MASTER)
        if self._mask is None:
            self._mask = mask
        own, fork = None, os.fork
        try:
            for at in range(len(pids)):
                pid = fork()
                if pid == 0:
                    own = at
                    self._become_worker(reserved, at, others)
                pids[at] = pid
        finally:
            if own is None:
                self.restore_mask()

    def restore_mask(self):
        """OSError: to be called again. A process whose signals stay blocked could not be stopped."""
        if self._mask is not None:
            restore_mask(self._mask)
            self._mask = None

    def _become_worker(self, reserved, own, others):
        """In the child: closes the master's descriptors and serves. It does not return."""
        try:
            for fd in others:
                shut(fd)
            for at, one in enumerate(reserved):
                shut(one.reader)
                if at != own:
                    shut(one.writer)
            self._spare.close()
            self._signals.leave()
            number, slot, writer = reserved[own].number, reserved[own].slot, reserved[own].writer
            addresses = self._counters.addresses
            tables = (self._counters.fd, addresses.fd if addresses is not None else 0)
            assignment = Assignment(self._config, self._listeners, *tables, number, slot, writer)
            run_worker(assignment, self._pid, self._signals.before, self._mask)
        finally:
            os._exit(1)
