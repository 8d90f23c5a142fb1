"""SIGINT and SIGTERM while a server runs in the main thread: per process."""

import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Within it, the signals stop the server; a second one ends it at once. Afterwards they do what they did before.

    In other threads it does nothing: only the main thread may set handlers.
    """

    def __init__(self, server, loop):
        self._server, self._loop = server, loop
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOPPING:
            self._before[number] = signal.getsignal(number)
            self._loop.add_signal_handler(number, self._server.shutdown)

    def __exit__(self, *exc):
        for number, handler in self._before.items():
            self._loop.remove_signal_handler(number)
            if handler is not None:  # None: it was not set from Python, and cannot be
                signal.signal(number, handler)
