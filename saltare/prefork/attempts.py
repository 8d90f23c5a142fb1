"""Actions of a master: the failure of one is logged, and does not end the master."""

import time

from .. import log
from ..process.attempt import reason

# Units: seconds.
REPEATED = 10.0  # a failure equal to the last one is logged once in this time


class Attempts:
    """One master's."""

    def __init__(self):
        self.failed = False  # an action has failed, so the loop must check everything again
        self._last = ("", 0.0)  # the text of the last failure, and when it was logged

    def do(self, what, action, *arguments):
        """Calls the action and returns its result; logs a failure and returns None."""
        try:
            return action(*arguments)
        except OSError as error:
            self._report(f"{what}: {reason(error)}")
        except Exception as error:
            self._report(f"{what} failed", error)
        self.failed = True
        return None

    def _report(self, text, error=None):
        last, at = self._last
        now = time.monotonic()
        if text != last or now > at + REPEATED:
            self._last = (text, now)
            log.error(f"in the master: {text}", error)
