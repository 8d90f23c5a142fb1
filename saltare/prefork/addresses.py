"""What limits know of clients, by address: one anonymous file that the master creates and every worker maps.

Layout and meaning must agree with the core's package addresses. Only the core reads and writes what is in it; the
master clears the flag of a worker that has ended, so that its connections no longer count.
"""

import os
import struct

VERSION = 1
HEAD = struct.Struct("=4sII4x8s")  # "SALA", version, slots, seed
HEADER = 4096  # bytes
REGION = 65536  # bytes: of all buckets, and of the connections of each slot
COUNTED_AT = 64  # a flag of 4 bytes for each slot, from slot 1


class Addresses:
    """The table, in the master. It has as many slots as the table of counters."""

    def __init__(self, slots):
        self.fd = os.memfd_create("saltare-addresses", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, HEADER + (1 + slots) * REGION)
            os.pwrite(self.fd, HEAD.pack(b"SALA", VERSION, slots, os.urandom(8)), 0)
        except BaseException:
            os.close(self.fd)
            raise

    def forget(self, slot):
        """The slot's worker has ended, and its connections with it."""
        os.pwrite(self.fd, bytes(4), COUNTED_AT + (slot - 1) * 4)

    def close(self):
        os.close(self.fd)
