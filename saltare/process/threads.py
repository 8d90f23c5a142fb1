"""The app's threads that are left when a server or its process ends: the wait for them, and their names in the log.

Few programs leave any, so few processes load this.
"""

import sys
import time

from .. import cpython, log

_named = set()  # threads that the log has named as left behind


def wait(until, quiet, waiter, stop_requested=None):
    """Until no thread is left that an interpreter waits for, or until `until` (time.monotonic). Returns whether none
    is; logs the others. After `quiet` seconds a line says what it waits for.
    """
    threading = sys.modules["threading"]
    why = "their time is over"
    try:
        with stop_requested or StopRequested.by_signals():
            waiter.wait(min(until, time.monotonic() + quiet))
            if cpython.lasting_threads(threading) and time.monotonic() < until:
                log.info(f"waiting for threads that have not ended: {described(cpython.lasting_threads(threading))}")
                waiter.wait(until)
    except StopRequested:
        why = "stop requested"
    return not log_abandoned(cpython.lasting_threads(threading), why)


def daemons_end(waiter, seconds):
    """Gives executors' threads that are daemons this time; only idle ones end. Returns whether none is left."""
    threads = cpython.daemons_of_executors()
    waiter.begin()
    until = time.monotonic() + seconds
    for one in threads:
        one.join(max(0.0, until - time.monotonic()))
    return not any(one.is_alive() for one in threads)


class Waiter:
    """Calls the interpreter's wait for threads (`shutdown`) in a thread of its own, since it has no timeout. It also
    ends executors' idle threads. Before CPython 3.13 it does not return there, since it waits for the main thread as
    well. So `wait` joins the threads themselves.
    """

    def __init__(self, shutdown):
        import threading

        self._shutdown, self._begin = shutdown, threading.Event()
        self._thread = threading.Thread(target=self._run, name="saltare-end", daemon=True)
        self._thread.start()

    def _run(self):
        self._begin.wait()
        self._shutdown()

    def begin(self):
        """Executors' idle threads end."""
        self._begin.set()

    def wait(self, until):
        """Until no thread is left that an interpreter waits for, or until `until` (time.monotonic)."""
        self.begin()
        threading = sys.modules["threading"]
        while threads := cpython.lasting_threads(threading):
            timeout = until - time.monotonic()
            if timeout <= 0:
                return
            threads[0].join(min(timeout, threading.TIMEOUT_MAX))


def executor_threads(loop):
    """Those of the loop's default executor; if the loop hides it (uvloop), of all executors."""
    import threading

    threads = cpython.executor_threads(loop)
    if threads is not None:
        return [one for one in threads if one.is_alive()]
    return [one for one in cpython.lasting_threads(threading) if one.name.startswith(("uvloop_", "ThreadPoolExecutor"))]


def log_abandoned(threads, why):
    """Logs each as left behind, once; returns whether there are any."""
    unnamed = [one for one in threads if one not in _named]
    if unnamed:
        _named.update(unnamed)
        log.error(f"{why}: threads that have not ended are abandoned: {described(unnamed)}")
    return bool(threads)


def described(threads):
    """Their names, and the place where each runs."""
    frames = sys._current_frames()
    return ", ".join(one.name + ("" if one.ident not in frames else place(frames[one.ident])) for one in threads)


def place(frame, line=None):
    return f" ({frame.f_code.co_filename}:{line or frame.f_lineno} in {frame.f_code.co_name})"


class StopRequested(BaseException):
    """A signal to stop, during the wait for threads."""

    @classmethod
    def by_signals(cls):
        from .signals import STOP_NOW, STOPPING

        return Raising(dict.fromkeys((*STOPPING, STOP_NOW), cls))


class Raising:
    """A context in which each of the signals raises its exception. Only in the main thread."""

    def __init__(self, exceptions):
        self._exceptions, self._before, self._raises = exceptions, {}, True
        self.taken = []  # numbers of the signals that came

    def __enter__(self):
        import signal

        from .signals import in_main_thread

        if in_main_thread():
            for number in self._exceptions:
                self._before[number] = signal.signal(number, self._raise)

    def __exit__(self, *exc):
        self._raises = False  # not while handlers are restored
        import signal

        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _raise(self, number, frame):
        self.taken.append(number)
        if self._raises:
            raise self._exceptions[number]
