"""The secret of the session tickets of TLS, which processes pass on."""

import os
from contextlib import suppress


class Tickets:
    """A file in memory with the secret of session tickets: all workers have it, and the program after a SIGHUP. The
    first core fills it, so the secret is never in Python's heap, which may be parked or dumped.
    """

    def __init__(self, inherited=None):
        self._fd = os.memfd_create("saltare-tickets", os.MFD_CLOEXEC) if inherited is None else inherited
        os.set_inheritable(self._fd, False)

    def fileno(self):
        return self._fd

    def __del__(self):
        with suppress(AttributeError, OSError):  # it was not opened, or is closed already
            os.close(self._fd)
