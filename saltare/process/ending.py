"""How a process of ours ends: threads, exit functions, streams, exit code.

The single process, a worker, and a process that execs a new program (SIGHUP) all end here, after the server has
stopped. Where saltare serves in the interpreter of another program, such as a profiler, that program ends first.
"""

import gc
import os
import sys
import time

from .. import cpython, log

# Units: seconds.
GRACE = 1.0  # least time for threads to end after a graceful stop, however long the drain took
BRIEF = 0.2  # time for threads when requests were cancelled: enough for those that only wait for work
QUIET = 1.0  # wait for threads before a line in the log
FOR_EVER = float("inf")

UNFLUSHED = 120  # exit code of an interpreter that could not flush its buffers

_named = set()  # threads that the log has named as left behind


def deadline(timeout, began, graceful):
    """The deadline for threads, after a stop that began at `began` (time.monotonic); `timeout` 0: none."""
    now = time.monotonic()
    if not graceful:
        return now + BRIEF
    return max(began + timeout, now + GRACE) if timeout else FOR_EVER


def leave(code, until, finalize=False):
    """Ends the process with this code (negative: by that signal); `until` is the deadline for threads.

    The interpreter is finalized only with `finalize`, and if no thread is left. A forked worker has its master's
    objects and frames; a parked process would read its file back.
    """
    try:
        code, alone = finish(code, until)
    except BaseException as error:  # from a signal handler of the app, such as SystemExit
        log.write(log.traceback_of(error))
        code, alone = code or 1, False
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code  # process 1 of a container survives its own signal
    if not finalize or not alone:
        os._exit(code)
    flush_files()
    sys.exit(code)


def finish(code, until, waiter=None, stop_requested=None):
    """The externally visible part of an interpreter's end: waits for threads, runs the exit functions, flushes
    buffers. Returns the resulting code, and whether no thread was left behind.

    A signal to stop ends the wait for threads; `stop_requested`, if given, is a StopRequested.by_signals().
    """
    alone = threads_end(until, waiter, stop_requested)
    flushed = run_exit_functions()
    return code or (1 if not alone else 0 if flushed else UNFLUSHED), alone


def run_exit_functions():
    """Also flushes the streams, and returns whether that succeeded."""
    cpython.run_exit_functions()
    flushed = [flush(stream) for stream in (sys.stdout, sys.stderr)]
    return all(flushed)


def finish_later(code, until, theirs):
    """The same for a shared interpreter, when it ends. By default it waits for all threads without a limit; now only
    for `theirs`, those that existed before us.
    """

    wait = cpython.threads_shutdown()
    waiter = Waiter(wait)  # now, because CPython 3.12 starts no threads at its end

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
    """Waits for the threads that an interpreter waits for. Returns whether all ended; logs the others."""
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
    return not log_abandoned(lasting(threading), why)


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

    def wait(self, until):
        """Until no thread is left that an interpreter waits for, or until `until` (time.monotonic)."""
        self._begin.set()
        while threads := lasting(sys.modules["threading"]):
            timeout = None if until == FOR_EVER else until - time.monotonic()
            if timeout is not None and timeout <= 0:
                return
            threads[0].join(timeout)


def lasting(threading):
    """The threads, except this one, that an interpreter waits for at its end."""
    here = (threading.main_thread(), threading.current_thread())
    return [one for one in threading.enumerate() if not one.daemon and one not in here and not cpython.is_asyncios(one)]


def executor_threads(loop):
    """Those of the loop's default executor; if the loop hides it (uvloop), of all executors."""
    import threading

    threads = cpython.executor_threads(loop)
    if threads is not None:
        return [one for one in threads if one.is_alive()]
    return [one for one in lasting(threading) if one.name.startswith(("uvloop_", "ThreadPoolExecutor"))]


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


# ---- streams ----


def flush(stream):
    """Whether all was written."""
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except Exception:  # a class of the app may raise any
        return False
    return True


def flush_files():
    """Flushes all open files, then freezes all objects, so that the interpreter does not search them for garbage,
    which took longer than the rest of a stop. It still frees objects outside of cycles.
    """
    import threading

    gc.unfreeze()  # so that get_objects() finds all files
    objects = gc.get_objects()
    base = cpython.file_base()
    kinds = {kind for kind in set(map(type, objects)) if base in kind.__mro__}
    files = [one for one in objects if type(one) in kinds]
    del objects
    # A daemon thread may be blocked in a write to one of them.
    flushing = threading.Thread(target=lambda: [flush(one) for one in files], daemon=True)
    flushing.start()
    flushing.join(GRACE)
    gc.freeze()
