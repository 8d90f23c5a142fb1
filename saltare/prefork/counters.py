"""Counters that all workers share: one anonymous file that the master creates and every process maps.

Each worker has a slot, which only it writes and all read. Layout and meaning must agree with the core's package
counters. Slot 0 holds the totals of workers that have ended. A slot also has the number of an eventfd, its bell: a
worker with connections to spare rings it. Descriptors have the same number in all processes, since the master forks
them all.
"""

import os
import struct
import sys

VERSION = 3
SLOT = 256  # bytes
FIGURES = 1024  # bytes that a slot has in a second table behind the slots, if metrics are on; only the core uses them
LAYOUT_AT = 16  # uint32, behind the head: what that table is about; 0: there is none
LOST_AT = 24  # uint64: how many workers have ended unexpectedly
HEAD = struct.Struct("=4sII")  # "SALT", version, slots
OWNED = struct.Struct("=IIi")  # state, pid, bell: what the master writes
TURN = struct.Struct("=IIiIqQ")  # state, pid, bell, waiting, turn, connections
UNREADY_AT = 12  # uint32, behind the head: 1 once the master is about to stop all workers
TOTALS = struct.Struct("=4Q")  # requests, accepted, refused, lines lost: kept after a worker ends
TOTALS_AT = 40
FREE, TAKEN, SERVING = 0, 1, 2


class Counters:
    """The table, in the master."""

    def __init__(self, fd, slots, bells):
        self.fd, self.slots, self._bells = fd, slots, bells
        self.addresses = None  # an Addresses, where a limit needs one
        self._ended = []  # slots of ended workers that are still to be freed

    @classmethod
    def made(cls, slots, layout=0):
        """`layout` identifies what the figures of the metrics mean; 0: there are none."""
        fd = os.memfd_create("saltare-counters", os.MFD_CLOEXEC)
        os.ftruncate(fd, (slots + 1) * SLOT + (slots * FIGURES if layout else 0))
        os.pwrite(fd, HEAD.pack(b"SALT", VERSION, slots), 0)
        os.pwrite(fd, layout.to_bytes(4, sys.byteorder), LAYOUT_AT)
        return cls(fd, slots, [eventfd() for _ in range(slots)])

    @classmethod
    def inherited(cls, fd, bells, layout=0):
        """The previous program's table; None when its layout is not ours."""
        magic, version, slots = HEAD.unpack(os.pread(fd, HEAD.size, 0))
        theirs = int.from_bytes(os.pread(fd, 4, LAYOUT_AT), sys.byteorder)
        ours = (magic, version, slots, theirs) == (b"SALT", VERSION, len(bells), layout)
        return cls(fd, slots, bells) if ours else None

    def handed_over(self):
        return self.fd, self._bells

    def take(self):
        """Takes a free slot; returns its number, from 1, or 0 if none is free."""
        for slot in range(1, self.slots + 1):
            if self._owned(slot)[0] == FREE:
                os.pwrite(self.fd, OWNED.pack(TAKEN, 0, self._bells[slot - 1]), slot * SLOT)
                return slot
        return 0

    def free(self, slot):
        """Frees the slot of an ended worker; adds its counts to slot 0."""
        gone, all_gone = self.totals(slot), self.totals(0)
        summed = [one + other for one, other in zip(gone, all_gone, strict=True)]
        if self.addresses is not None:
            self.addresses.forget(slot)
        os.pwrite(self.fd, TOTALS.pack(*summed), TOTALS_AT)
        os.pwrite(self.fd, bytes(SLOT), slot * SLOT)

    def free_ended(self, slot=0):
        """Frees the slot of an ended worker, and those of earlier calls that failed. OSError: to be called again."""
        if slot:
            self._ended.append(slot)
        while self._ended:
            self.free(self._ended[-1])
            self._ended.pop()

    def totals(self, slot):
        """(requests, accepted, refused, lines lost) of a slot's worker; slot 0: of all that have ended."""
        return TOTALS.unpack(os.pread(self.fd, TOTALS.size, slot * SLOT + TOTALS_AT))

    def turn(self, slot):
        """When the current turn of a worker's loop began, by its clock; 0: in none. And whether it has connections."""
        state, _, _, waiting, turn, connections = TURN.unpack(os.pread(self.fd, TURN.size, slot * SLOT))
        return (turn if state >= SERVING and not waiting else 0), connections > 0

    def unready(self):
        """Makes the health answers of all workers say that the server is about to stop."""
        os.pwrite(self.fd, (1).to_bytes(4, sys.byteorder), UNREADY_AT)

    def count_lost(self):
        """A worker has ended unexpectedly."""
        lost = int.from_bytes(os.pread(self.fd, 8, LOST_AT), sys.byteorder)
        os.pwrite(self.fd, (lost + 1).to_bytes(8, sys.byteorder), LOST_AT)

    def ring(self):
        """Asks every worker to check the listeners. OSError, after all were asked: one bell failed."""
        failure = None
        for bell in self._bells:
            try:
                os.eventfd_write(bell, 1)
            except BlockingIOError:
                pass  # the worker has not read the last ring yet
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure

    def close(self):
        if self.addresses is not None:
            self.addresses.close()
        for fd in (self.fd, *self._bells):
            os.close(fd)

    def _owned(self, slot):
        return OWNED.unpack(os.pread(self.fd, OWNED.size, slot * SLOT))


def eventfd():
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
