"""The second driver: the core is a guest of another loop, uvloop or one that already runs."""

from contextvars import copy_context


class Guest:
    """Gives the core a turn when its epoll descriptor is readable, and after the app has sent something."""

    def __init__(self, loop, core):
        self._loop, self._core = loop, core
        self._soon = False
        # Not that of the request whose answer asks for the turn: the next request would begin in it.
        self._context = copy_context()
        core.wake = self._turn_soon
        loop.add_reader(core.epoll_fd, self._turn)

    def _turn_soon(self):
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._turn, context=self._context)

    def _turn(self):
        self._soon = False
        try:
            self._core.poll(0)
        except RuntimeError:  # closed, or in a forked child: it would be asked again and again
            self.close()
            raise
        if self._core.more:
            self._turn_soon()

    def close(self):
        self._loop.remove_reader(self._core.epoll_fd)
        self._turn = self._turn_soon = _nothing
        self._core.wake = _nothing


def _nothing():
    """What a turn that was scheduled before the end does."""
