"""The second driver: the core is a guest of another loop, such as uvloop or one already running."""

from contextvars import copy_context


class Guest:
    """Gives the core a turn when its epoll descriptor is readable, and after the app has sent something."""

    def __init__(self, loop, core):
        self._loop, self._core = loop, core
        self._soon = False
        # Not the context of the request whose response asks for the turn: the next request would start in it.
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
        except RuntimeError:  # closed, or in a forked child: the loop would call it again and again
            self.close()
            raise
        finally:
            if self._core.more:
                self._turn_soon()

    def close(self):
        self._loop.remove_reader(self._core.epoll_fd)
        self._turn = self._turn_soon = _nothing
        self._core.wake = _nothing


def _nothing():
    """For a turn that was scheduled before close()."""
