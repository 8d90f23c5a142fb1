"""The signals of one server, which its loop handles in the main thread."""

import signal
from functools import partial

from .. import log
from ..cpython import raw_signal
from ..process import forks, ignored
from ..process.signals import in_main_thread, restore
from .visible import Visible

SHOWN = (signal.SIGINT, signal.SIGTERM)
OF_LOGS = (signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """A context in which the loop calls `actions` on signals. At its end the former handlers are restored.

    In other threads it does nothing: only the main thread may set handlers.

    A loop's own handlers only wake it up. Those of SHOWN are replaced by the method that `handler` makes of them (a
    dict of the loop's handlers), by default that of a Visible.
    """

    def __init__(self, loop, actions, handler=None):
        self._loop, self._actions = loop, actions
        self._handler = handler or by_signals_alone
        self._ignored = []
        self._ours = {}  # what the loop has set
        self.before = {}  # the former handlers
        self.afterwards = None  # a handler to set at the end instead, until `restore`

    def call(self, handler, numbers):
        """These signals only wake the loop up, and Python calls `handler` with the number and the frame."""
        self._actions.update(dict.fromkeys(numbers, nothing))
        self._handler = lambda formers: handler

    def __enter__(self):
        if not in_main_thread():
            return self
        self._ignored = ignored.ignore()
        for number, action in self._actions.items():
            if number in (signal.SIGQUIT, *OF_LOGS) and not ignored.is_free(number):
                continue  # the app may dump its stacks on it
            self.before[number] = raw_signal.getsignal(number)
            self._loop.add_signal_handler(number, action)
            self._ours[number] = raw_signal.getsignal(number)
        self._show()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._actions)  # the previous program may have blocked them
        forks.call_in_child(self._leave)
        if signal.SIGHUP in self.before and ignored.hang_ups():
            self._loop.call_soon(self._actions[signal.SIGHUP])
        return self

    def __exit__(self, *exc):
        forks.forget_call(self._leave)
        for number in OF_LOGS:
            if number in self.before and raw_signal.getsignal(number) is not self._ours[number]:
                del self.before[number]  # the app has set another handler meanwhile, which stays
        for number in self.before:
            self._loop.remove_signal_handler(number)
            if self.afterwards is not None:
                signal.signal(number, self.afterwards)
        if self.afterwards is None:
            self.restore()

    def _show(self):
        formers = {number: signal.getsignal(number) for number in SHOWN if number in self.before}
        handler = self._handler(formers)
        for number in formers:
            signal.signal(number, handler)
            signal.siginterrupt(number, False)  # as asyncio and uvloop set it

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


def log_actions(server):
    """What a server does for its logs on signals: SIGUSR1 writes a line of figures, SIGUSR2 opens the file of the
    access log again.
    """
    actions = {signal.SIGUSR1: partial(write_figures, server)}
    if server.config.access_log:
        actions[signal.SIGUSR2] = partial(reopen_log, server)
    return actions


def write_figures(server):
    if server.core is None:  # it does not listen yet
        return
    try:
        from .figures import write

        write(server)
    except (OSError, ImportError) as error:  # no descriptor left, for example, or the package being replaced
        log.error(f"SIGUSR1: no figures: {error}")


def reopen_log(server):
    if server.core is not None:  # otherwise the file is opened when the server listens
        from ..process.log_file import reopen

        reopen(server.core, server.config.access_log_path)


def by_signals_alone(formers):
    return Visible(lambda: False, formers).handle_exit


def nothing():
    pass
