"""Actions that may fail: they return "started" or "why not", and no failure ends the process."""

import os
from contextlib import suppress
from errno import EMFILE, ENFILE

SPARE = 2  # descriptors: as many as a new worker or a handover needs


def started(start, *arguments):
    """Calls `start`; returns (its result, None), or on an OSError (None, why not)."""
    try:
        return start(*arguments), None
    except OSError as error:
        return None, reason(error)


def reason(error):
    """An OSError in words, without its number."""
    text = error.strerror or str(error)
    return text if error.filename is None else f"{os.fsdecode(error.filename)}: {text}"


def shut(fd):
    """Closes a descriptor; it is closed even if close(2) fails."""
    with suppress(OSError):
        os.close(fd)


class Spare:
    """Reserved descriptors, which `attempt` closes when no others are left."""

    def __init__(self):
        self._fds = []
        self.fill()

    def fill(self):
        with suppress(OSError):  # filled another time
            while len(self._fds) < SPARE:
                self._fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))

    def attempt(self, make, *arguments):
        """Calls `make`; when descriptors run out, closes ours and retries once."""
        try:
            return make(*arguments)
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE):
                raise
        self.close()
        return make(*arguments)

    def close(self):
        while self._fds:
            shut(self._fds.pop())
