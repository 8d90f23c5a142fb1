"""Programs and children that this process has started: their arguments, and how they end."""

import os
import signal
import time
from contextlib import suppress


def waited(pid):
    """(pid, status) of a child that has ended, or None."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return (pid, 0) if pid > 0 else None  # other code has waited for it
    return (found, status) if found else None


def end_now(pid, seconds=3.0):
    """Kills a child of ours and waits up to `seconds` for its end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        with suppress(OSError):
            if waited(pid):
                return
        time.sleep(0.002)


def ended(code):
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def encoded(texts):
    return tuple(os.fsencode(text) for text in texts)


def pairs(environment):
    return encoded(f"{name}={value}" for name, value in environment.items())
