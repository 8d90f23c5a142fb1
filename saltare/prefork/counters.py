"""Figures that all workers share: one anonymous file that the master makes and everybody maps.

A slot for each worker, written by nobody else and read by all; layout and meaning are those of the core's package
counters, which this must agree with. The first slot holds what the workers that are gone have counted. A slot also has
the number of an eventfd, its bell: who has connections to spare rings it. Descriptors have the same number in all
processes, since all of them come from the master by fork.
"""

import os
import struct

VERSION = 1
SLOT = 256  # bytes
HEAD = struct.Struct("=4sII")  # "SALT", version, slots
OWNED = struct.Struct("=IIi")  # state, pid, bell: what the master writes
TOTALS = struct.Struct("=3Q")  # requests, accepted, refused: what outlives a worker
TOTALS_AT = 40
FREE, TAKEN = 0, 1


class Counters:
    """The table, as the master sees it."""

    def __init__(self, fd, slots, bells):
        self.fd, self.slots, self._bells = fd, slots, bells

    @classmethod
    def made(cls, slots):
        fd = os.memfd_create("saltare-counters", os.MFD_CLOEXEC)
        os.ftruncate(fd, (slots + 1) * SLOT)
        os.pwrite(fd, HEAD.pack(b"SALT", VERSION, slots), 0)
        return cls(fd, slots, [eventfd() for _ in range(slots)])

    @classmethod
    def inherited(cls, fd, bells):
        """The table of the process whose place we took; None when its layout is not ours."""
        magic, version, slots = HEAD.unpack(os.pread(fd, HEAD.size, 0))
        return cls(fd, slots, bells) if (magic, version, slots) == (b"SALT", VERSION, len(bells)) else None

    def handed_over(self):
        return self.fd, self._bells

    def take(self):
        """The number of a free slot, 1 or more; 0 when there is none."""
        for slot in range(1, self.slots + 1):
            if self._owned(slot)[0] == FREE:
                os.pwrite(self.fd, OWNED.pack(TAKEN, 0, self._bells[slot - 1]), slot * SLOT)
                return slot
        return 0

    def give_back(self, slot):
        """The slot of a worker that is gone; what it counted is not forgotten."""
        gone, all_gone = self.totals(slot), self.totals(0)
        summed = [one + other for one, other in zip(gone, all_gone, strict=True)]
        os.pwrite(self.fd, TOTALS.pack(*summed), TOTALS_AT)
        os.pwrite(self.fd, bytes(SLOT), slot * SLOT)

    def totals(self, slot):
        """(requests, accepted, refused) of a slot's worker; of slot 0: of all that are gone."""
        return TOTALS.unpack(os.pread(self.fd, TOTALS.size, slot * SLOT + TOTALS_AT))

    def ring(self):
        """Asks every worker to look at the listeners. OSError, after all were asked: one could not be."""
        failure = None
        for bell in self._bells:
            try:
                os.eventfd_write(bell, 1)
            except BlockingIOError:
                pass  # it has not yet looked since the last time
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure

    def close(self):
        for fd in (self.fd, *self._bells):
            os.close(fd)

    def _owned(self, slot):
        return OWNED.unpack(os.pread(self.fd, OWNED.size, slot * SLOT))


def eventfd():
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
