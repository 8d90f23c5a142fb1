"""Failures of workers to start: how long the next start waits, and what the log has shown."""

import time

from .. import log

# Units: seconds.
BRIEF = 10.0  # a life shorter than this counts as a failure
LONGEST_PAUSE = 30.0  # between two starts that keep failing
FIRST_PAUSE = 0.25


class Failures:
    """Those of one master's workers. With --reload, a start after a failure waits for the change of a file instead."""

    def __init__(self, reload):
        self.pause_until = 0.0  # time.monotonic() before which no worker is started
        self._reload = reload
        self._count = 0  # in a row
        self._shown = set()

    def pause(self):
        """A start has failed. Each pause is twice as long as the one before."""
        now = time.monotonic()
        self._count = 1 if now > self.pause_until + BRIEF else self._count + 1
        self.pause_until = now + min(FIRST_PAUSE * 2 ** (self._count - 1), LONGEST_PAUSE)

    def pause_after(self, age):
        """A worker ended at this age, in seconds."""
        if age < BRIEF:
            self.pause()

    def pauses(self):
        return time.monotonic() < self.pause_until

    def wait_for_change(self):
        self._count += 1

    def waits_for_change(self):
        return self._reload and self._count > 0

    def show(self, text):
        """Logs an error of the app once: all workers of one start fail alike."""
        if text not in self._shown:
            self._shown.add(text)
            log.write(text)

    def forget_texts(self):
        self._shown.clear()

    def forget(self):
        """For a requested restart."""
        self._count, self.pause_until = 0, 0.0
        self._shown.clear()
