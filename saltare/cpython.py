"""Every undocumented name of CPython that saltare's Python code uses."""

# What it is                    what uses it          what goes wrong without it
# ----------------------------------------------------------------------------------------------------------------------
# _signal                       signals               `signal` makes enums of numbers, in pages that workers share
# _io._IOBase                   end of a process      data in the buffers of the app's open files is lost
# source_from_cache             fresh code at SIGHUP  importlib.util has it too, and imports more
# atexit._run_exitfuncs         end of a process      functions that the app gave to atexit are not called
# threading._shutdown           end of a process      idle threads of executors do not end: a stop takes its full time
# "(_do_shutdown)"              end of a process      the log names a thread of asyncio as one that the app left
# _default_executor, _threads   end of a server       the log names the threads of all executors, not only the loop's
# _threads_queues               end of a process      a thread of an executor, a busy daemon, holds up a stop
# _event_loop_policy            choice of the loop    asking asyncio for the policy creates one
# _loop_factory                 choice of the loop    a policy of asyncio looks like one that the app has installed
# _BaseSelectorImpl             the loop              the core cannot be asyncio's selector
# _fd_to_key                    the loop              a descriptor's events cannot be changed
# Handle in f_locals            log of a stop         the log does not name the callback that raised SystemExit
# "Event loop stopped before"   log of a stop         the log shows RuntimeError instead of loop.stop()
# _trace_hook, _profile_hook    command line          a debugger or profiler of threads is lost
# _args_from_interpreter_flags  command line          flags such as -W and -O do not reach the interpreter that serves
# _ssl                          command line          asyncio fails on a Python that was built without OpenSSL
# _json                         log lines as JSON     the package json is imported: 0.2 MiB
# typing._cleanups              memory                typing's caches stay: 0.1 MiB together with the lists of folders
#
# Tested with 3.10 to 3.13 in CI and with 3.14 by hand; tests/config/test_chapters.py looks for each of the names.
# native/ and gocore/ document their own uses of undocumented CPython.

import _signal as raw_signal  # without enums; callers write `raw_signal.signal`
import sys
from _frozen_importlib_external import source_from_cache

__all__ = ["raw_signal", "source_from_cache"]


# ---- the end of a process ----


def run_exit_functions():
    if "atexit" in sys.modules:
        sys.modules["atexit"]._run_exitfuncs()


def file_classes():
    """The classes of files, so far."""
    from _io import _IOBase

    found = [_IOBase]
    for one in found:  # which grows meanwhile
        found += type.__subclasses__(one)
    return found


def threads_shutdown():
    """The function by which an interpreter waits for threads at its end."""
    import threading

    return threading._shutdown


def set_threads_shutdown(function):
    import threading

    threading._shutdown = function


def lasting_threads(threading):
    """The threads, except this one, that an interpreter waits for at its end, without asyncio's, which waits for a
    loop's executor.
    """
    here = (threading.main_thread(), threading.current_thread())
    others = [one for one in threading.enumerate() if not one.daemon and one not in here]
    return [one for one in others if not one.name.endswith("(_do_shutdown)")]


def daemons_of_executors():
    """The threads of executors that are daemons, as those of an executor that a daemon thread has made. An interpreter
    waits for them at its end, without a limit.
    """
    module = sys.modules.get("concurrent.futures.thread")
    return [one for one in list(getattr(module, "_threads_queues", ())) if one.daemon and one.is_alive()]


def executor_threads(loop):
    """The threads of the loop's default executor; None if the loop hides it (uvloop)."""
    executor = getattr(loop, "_default_executor", None)
    return None if executor is None else list(executor._threads)


# ---- loops ----


def installed_policy():
    """The installed policy of event loops, or None; creates none."""
    from asyncio import events

    return getattr(events, "_event_loop_policy", None)


def loop_makers(policy):
    """The two attributes of a policy's class that make its loops; None for a missing one."""
    return [getattr(type(policy), name, None) for name in ("new_event_loop", "_loop_factory")]


def selector_base():
    from selectors import _BaseSelectorImpl

    return _BaseSelectorImpl


def replace_key(selector, key):
    """Replaces the key with the same descriptor."""
    selector._fd_to_key[key.fd] = key


def handle_in(frame):
    """The asyncio.Handle whose callback runs in the frame, or None."""
    from asyncio import Handle

    found = frame.f_locals.get("self")
    return found if isinstance(found, Handle) else None


def is_loop_stop(error):
    """Whether run_until_complete raised it because of loop.stop()."""
    return isinstance(error, RuntimeError) and str(error).startswith("Event loop stopped before Future")


# ---- the command line ----


def hooks_of_threads():
    """The trace and profile functions that new threads get."""
    threading = sys.modules.get("threading")
    return [getattr(threading, name, None) for name in ("_trace_hook", "_profile_hook")]


def interpreter_flags():
    """The flags of this interpreter, for another one."""
    from subprocess import _args_from_interpreter_flags

    return _args_from_interpreter_flags()


def has_ssl():
    """Whether ssl can be loaded; loads only its extension."""
    try:
        import _ssl  # noqa: F401
    except ImportError:
        return False
    return True


# ---- memory ----


def clear_typing_caches():
    for clear in getattr(sys.modules.get("typing"), "_cleanups", ()):
        clear()


# ---- the log ----


def json_string(text):
    """The text as JSON, in ASCII and with its quotes."""
    from _json import encode_basestring_ascii

    return encode_basestring_ascii(text)
