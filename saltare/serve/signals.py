"""The signals of one server, which its loop handles in the main thread."""

import signal

from ..cpython import raw_signal
from ..process import forks, ignored
from ..process.signals import in_main_thread, restore


class Signals:
    """A context in which the loop calls `actions` on signals. At its end the former handlers are restored.

    In other threads it does nothing: only the main thread may set handlers.
    """

    def __init__(self, loop, actions):
        self._loop, self._actions = loop, actions
        self._ignored = []
        self.before = {}  # the former handlers
        self.afterwards = None  # a handler to set at the end instead, until `restore`

    def __enter__(self):
        if not in_main_thread():
            return self
        self._ignored = ignored.ignore()
        for number, action in self._actions.items():
            if number == signal.SIGQUIT and not ignored.is_free(number):
                continue  # the app may dump its stacks on it
            self.before[number] = raw_signal.getsignal(number)
            self._loop.add_signal_handler(number, action)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._actions)  # the previous program may have blocked them
        forks.call_in_child(self._leave)
        if signal.SIGHUP in self.before and ignored.hang_ups():
            self._loop.call_soon(self._actions[signal.SIGHUP])
        return self

    def __exit__(self, *exc):
        forks.forget_call(self._leave)
        for number in self.before:
            self._loop.remove_signal_handler(number)
            if self.afterwards is not None:
                signal.signal(number, self.afterwards)
        if self.afterwards is None:
            self.restore()

    def restore(self):
        for number, handler in self.before.items():
            if handler is not None:  # None: not set from Python, so Python cannot restore it
                signal.signal(number, handler)
        ignored.restore(self._ignored)

    def _leave(self):
        """In a forked child, which inherits the wake-up descriptor of its parent's loop."""
        signal.set_wakeup_fd(-1)
        restore(self.before)
        ignored.restore()
