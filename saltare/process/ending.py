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
BLOCKED = 0.1  # time for a flush, before a further thread flushes the other files
FOR_EVER = float("inf")

UNFLUSHED = 120  # exit code of an interpreter that could not flush its buffers


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
    ended, alone = threads_end(until, waiter, stop_requested)
    flushed = run_exit_functions()
    return code or (1 if not ended else 0 if flushed else UNFLUSHED), alone


def run_exit_functions():
    """Also flushes the streams, and returns whether that succeeded."""
    cpython.run_exit_functions()
    flushed = [flush(stream) for stream in (sys.stdout, sys.stderr)]
    return all(flushed)


def threads_end(until, waiter=None, stop_requested=None):
    """Waits for the threads that an interpreter waits for. Returns whether all ended, of which it logs the others, and
    whether the interpreter's own wait would end: it waits for daemons of executors too.
    """
    threading = sys.modules.get("threading")
    if threading is None:
        return True, True
    lasting = cpython.lasting_threads(threading)
    if not lasting and not cpython.daemons_of_executors():
        cpython.threads_shutdown()()
        return True, True
    try:
        from .threads import Waiter, daemons_end, wait
    except (OSError, ImportError) as error:  # no descriptor left, for example, or the package being replaced
        log.error(f"cannot wait for threads that have not ended: {error}")
        return False, False
    waiter = waiter or Waiter(cpython.threads_shutdown())
    ended = wait(until, QUIET, waiter, stop_requested) if lasting else True
    return ended, ended and daemons_end(waiter, BRIEF)


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
    from itertools import compress

    gc.unfreeze()  # so that get_objects() finds all files
    kinds = set(cpython.file_classes())
    objects = gc.get_objects()
    # There may be millions of objects, so the search runs no Python code for each.
    try:
        files = list(compress(objects, map(kinds.__contains__, map(type, objects))))
    except Exception:  # a class of the app may have no hash
        numbers = set(map(id, kinds))
        files = list(compress(objects, map(numbers.__contains__, map(id, map(type, objects)))))
    del objects
    until, remaining, threads = time.monotonic() + GRACE, iter(files), []
    # A daemon thread of the app may be blocked in a write to one of them: while a flush waits for it, a further thread
    # flushes the others.
    while not threads or (threads[-1].is_alive() and time.monotonic() < until):
        threads.append(threading.Thread(target=lambda: [flush(one) for one in remaining], daemon=True))
        threads[-1].start()
        threads[-1].join(BLOCKED)
    for one in threads:
        one.join(max(0, until - time.monotonic()))
    gc.freeze()
