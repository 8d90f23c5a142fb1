"""The stop requests of a running server: the first is graceful, the second at once."""

import time

from ..app.lifespan import resolve
from ..process.signals import TOGETHER


class Stop:
    """The stop of one run. Any thread may request it, also before the run begins."""

    def __init__(self):
        self.requested = self.at_once = None  # futures, while running
        self.why = None  # for the log
        self.began = None  # when the server began to stop, by time.monotonic
        self._loop = None
        self._requests = 0
        self._signalled = False  # a signal has come, and its request follows after TOGETHER
        self._closing = False  # the drain is over: now the first request already means at once

    def attach(self, loop):
        """The run has begun in this loop."""
        self._loop = loop
        self.requested, self.at_once = loop.create_future(), loop.create_future()
        self._resolve()

    def request(self, why, least=None):
        """Makes one request or, with `least`, as many as bring their number to that. Returns how many it made."""
        before = self._requests
        self.why = self.why or why
        self._requests = before + 1 if least is None else max(before, least)
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:
                pass  # the loop has just been closed
        return self._requests - before

    def signal(self, name, request):
        """A signal to stop. Calls `request` after TOGETHER, once for all signals that arrive meanwhile."""
        self.why = self.why or name
        if not self._signalled:
            self._signalled = True
            self._loop.call_later(TOGETHER, self._signals_ended, request)

    def _signals_ended(self, request):
        self._signalled = False
        request()

    def raised(self, counts):
        """An exception through the loop stops the server. It is a request of its own if it `counts`."""
        if counts:
            self._requests += 1
        self._resolve()

    def begin(self):
        self.began = time.monotonic()

    def close(self):
        self._closing = True

    def was_requested(self):
        return self._signalled or self._requests > 0

    def count(self):
        return self._requests

    def _resolve(self):
        if self.requested is not None and self._requests > 0:
            resolve(self.requested)
        if self.at_once is not None and self._requests > (0 if self._closing else 1):
            resolve(self.at_once)
