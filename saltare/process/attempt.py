"""Actions that may fail answer "started" or "why not", and no failure ends the process."""

import os
from contextlib import suppress
from errno import EMFILE, ENFILE

SPARE = 2  # descriptors: what a new worker or a handover needs when there are no others


def started(start, *arguments):
    """Calls `start`; returns (what it returned, None), or (None, why not) when the system refused."""
    try:
        return start(*arguments), None
    except OSError as error:
        return None, reason(error)


def reason(error):
    """An OSError in words, without its number."""
    text = error.strerror or str(error)
    return text if error.filename is None else f"{os.fsdecode(error.filename)}: {text}"


def shut(fd):
    """Closes a descriptor. It is closed whatever close(2) says."""
    with suppress(OSError):
        os.close(fd)


class Spare:
    """Descriptors that are kept for the moment when there are no others: then `attempt` gives them up."""

    def __init__(self):
        self._fds = []
        self.fill()

    def fill(self):
        with suppress(OSError):  # another time
            while len(self._fds) < SPARE:
                self._fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))

    def attempt(self, make, *arguments):
        """Calls `make`, once more without our descriptors when it is those that lack."""
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
