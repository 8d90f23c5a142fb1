"""How a process of ours ends: threads, exit functions, streams, exit code.

The single process, a worker, and a process that becomes another program (SIGHUP) all end here, after the server itself
has stopped. Where saltare serves in the interpreter of another program, such as a profiler, that program ends first.
"""

import gc
import os
import sys
import time

from .. import cpython, log

# Units: seconds.
GRACE = 1.0  # that threads have at least to end after a graceful stop, however long the rest of it took
BRIEF = 0.2  # that they have when requests were cut already: enough for those that only wait for work
QUIET = 1.0  # for which threads are waited for without a line in the log
FOR_EVER = float("inf")

UNFLUSHED = 120  # exit code of an interpreter that could not write what was in its buffers

_named = set()  # threads that the log has named as left behind


def deadline(timeout, began, graceful):
    """Until when threads are waited for, after a stop that began at `began` (time.monotonic); `timeout` 0: for ever."""
    now = time.monotonic()
    if not graceful:
        return now + BRIEF
    return max(began + timeout, now + GRACE) if timeout else FOR_EVER


def leave(code, until, finalize=False):
    """Ends the process with this code (negative: by that signal); `until` is when threads have had their time.

    Only with `finalize`, and when no thread is left, the interpreter also takes its objects apart. A forked worker has
    its master's objects and frames; a parked process would read its file back.
    """
    try:
        code, alone = finish(code, until)
    except BaseException as error:  # of a signal handler of the app's, such as SystemExit
        log.write(log.traceback_of(error))
        code, alone = code or 1, False
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code  # the first process of a container does not die by a signal of its own
    if not finalize or not alone:
        os._exit(code)
    flush_files()
    sys.exit(code)


def finish(code, until, waiter=None, stop_requested=None):
    """What an interpreter does when it ends, as far as it concerns others: waits for threads, runs the exit functions,
    writes what is buffered. Returns the code that is true after it, and whether no thread was left behind.

    A signal to stop ends the wait for threads; `stop_requested`, if given, is a StopRequested.by_signals().
    """
    alone = threads_end(until, waiter, stop_requested)
    flushed = run_exit_functions()
    return code or (1 if not alone else 0 if flushed else UNFLUSHED), alone


def run_exit_functions():
    """Also writes what is buffered, and returns whether that was possible."""
    cpython.run_exit_functions()
    flushed = [flush(stream) for stream in (sys.stdout, sys.stderr)]
    return all(flushed)


def finish_later(code, until, theirs):
    """The same for an interpreter that is not ours alone: when it ends. It would wait for all threads without a limit;
    now it does for `theirs`, those that were there before we were.
    """

    wait = cpython.threads_shutdown()
    waiter = Waiter(wait)  # now, for CPython 3.12 starts no thread any more when it ends

    def shutdown():
        cpython.set_threads_shutdown(wait)
        for thread in theirs:
            thread.join()
        true_code, alone = finish(code, max(until, time.monotonic() + BRIEF), waiter=waiter)
        if not alone:
            os._exit(true_code)

    cpython.set_threads_shutdown(shutdown)


# ---- threads ----


def threads_end(until, waiter=None, stop_requested=None):
    """Waits for the threads that an interpreter waits for. Returns whether they ended; the log names the others."""
    threading = sys.modules.get("threading")
    if threading is None:
        return True
    if not lasting(threading):
        cpython.threads_shutdown()()
        return True
    why = "their time is over"
    try:
        with stop_requested or StopRequested.by_signals():
            waiter = waiter or Waiter(cpython.threads_shutdown())
            waiter.wait(min(until, time.monotonic() + QUIET))
            if lasting(threading) and time.monotonic() < until:
                log.info(f"waiting for threads that have not ended: {described(lasting(threading))}")
                waiter.wait(until)
    except StopRequested:
        why = "stop requested"
    return not name_left(lasting(threading), why)


class Waiter:
    """Calls what an interpreter waits for threads by in a thread of its own, for it cannot be told how long to wait. It
    also lets go threads that wait for work in executors. Before CPython 3.13 it does not return there: it waits for the
    main thread as well. So it is the threads themselves that are waited for.
    """

    def __init__(self, shutdown):
        import threading

        self._shutdown, self._begin = shutdown, threading.Event()
        self._thread = threading.Thread(target=self._run, name="saltare-end", daemon=True)
        self._thread.start()

    def _run(self):
        self._begin.wait()
        self._shutdown()

    def wait(self, until):
        """Until no thread is left that an interpreter waits for, or that time (time.monotonic) has come."""
        self._begin.set()
        while threads := lasting(sys.modules["threading"]):
            timeout = None if until == FOR_EVER else until - time.monotonic()
            if timeout is not None and timeout <= 0:
                return
            threads[0].join(timeout)


def lasting(threading):
    """The threads, but for this one, that an interpreter waits for when it ends."""
    here = (threading.main_thread(), threading.current_thread())
    return [one for one in threading.enumerate() if not one.daemon and one not in here and not cpython.is_asyncios(one)]


def executor_threads(loop):
    """Those of the loop's default executor; where the loop does not show it (uvloop), of all executors."""
    import threading

    threads = cpython.executor_threads(loop)
    if threads is not None:
        return [one for one in threads if one.is_alive()]
    return [one for one in lasting(threading) if one.name.startswith(("uvloop_", "ThreadPoolExecutor"))]


def name_left(threads, why):
    """Names them in the log as left behind, each once; returns whether there are any."""
    unnamed = [one for one in threads if one not in _named]
    if unnamed:
        _named.update(unnamed)
        log.error(f"{why}: threads that have not ended are left behind: {described(unnamed)}")
    return bool(threads)


def described(threads):
    """Their names, and where each of them is."""
    frames = sys._current_frames()
    return ", ".join(one.name + ("" if one.ident not in frames else place(frames[one.ident])) for one in threads)


def place(frame, line=None):
    return f" ({frame.f_code.co_filename}:{line or frame.f_lineno} in {frame.f_code.co_name})"


class StopRequested(BaseException):
    """A signal to stop, while threads are waited for."""

    @classmethod
    def by_signals(cls):
        from .signals import STOP_NOW, STOPPING

        return Raising(dict.fromkeys((*STOPPING, STOP_NOW), cls))


class Raising:
    """Within it each of the signals raises its exception, where handlers can be set: in the main thread."""

    def __init__(self, exceptions):
        self._exceptions, self._before, self._raises = exceptions, {}, True
        self.taken = []  # numbers of those that came

    def __enter__(self):
        import signal

        from .signals import in_main_thread

        if in_main_thread():
            for number in self._exceptions:
                self._before[number] = signal.signal(number, self._raise)

    def __exit__(self, *exc):
        self._raises = False  # not on the way out
        import signal

        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _raise(self, number, frame):
        self.taken.append(number)
        if self._raises:
            raise self._exceptions[number]


# ---- streams ----


def flush(stream):
    """Whether all was written."""
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except Exception:  # of a class of the app's it may be any
        return False
    return True


def flush_files():
    """Writes what is in the buffers of all open files, then freezes everything, so that the interpreter does not search
    it for garbage, which took longer than all the rest of a stop. What is not part of a cycle it takes apart all the
    same.
    """
    import threading

    gc.unfreeze()  # to be found
    objects = gc.get_objects()
    base = cpython.file_base()
    kinds = {kind for kind in set(map(type, objects)) if base in kind.__mro__}
    files = [one for one in objects if type(one) in kinds]
    del objects
    # A daemon thread may be writing to one of them, for as long as nobody reads.
    flushing = threading.Thread(target=lambda: [flush(one) for one in files], daemon=True)
    flushing.start()
    flushing.join(GRACE)
    gc.freeze()
