"""What has been asked of a running server: to stop, and then to stop at once."""

import time

from ..app.lifespan import resolve
from ..process.signals import TOGETHER


class Stop:
    """Of one run. It can be requested from any thread, also before the run begins."""

    def __init__(self):
        self.requested = self.at_once = None  # futures, while running
        self.why = None  # for the log
        self.began = None  # when the server began to stop, by time.monotonic
        self._loop = None
        self._requests = 0
        self._signalled = False  # by a signal that becomes a request when no other follows it
        self._closing = False  # nothing is served any more, so that the first request is one to stop at once

    def attach(self, loop):
        """The run has begun, in this loop."""
        self._loop = loop
        self.requested, self.at_once = loop.create_future(), loop.create_future()
        self._resolve()

    def request(self, why):
        self.why = self.why or why
        self._requests += 1
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:
                pass  # it has just ended

    def signal(self, name, request):
        """A signal to stop: `request` is called a moment later, once for all signals that come together."""
        self.why = self.why or name
        if not self._signalled:
            self._signalled = True
            self._loop.call_later(TOGETHER, self._signals_ended, request)

    def _signals_ended(self, request):
        self._signalled = False
        request()

    def raised(self, counts):
        """What was raised through the loop stops the server; it is a request of its own if it `counts`."""
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
