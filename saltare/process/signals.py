"""Signals that stop or restart a server, and helpers to set handlers and masks."""

import os
import signal
import threading
from contextlib import suppress

from ..cpython import raw_signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
OF_A_MASTER = (*STOPPING, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)
TOGETHER = 0.05  # s in which signals to stop count as one: timeout(1), say, signals a process and then its group
STOP_NOW = int(signal.SIGRTMIN)  # from a master to a worker: cancel requests in progress as well


def in_main_thread():
    """True also where a patched `threading` (eventlet) reports another main thread."""
    return threading.current_thread() is threading.main_thread() or threading.get_native_id() == os.getpid()


def restore(handlers):
    for number, handler in handlers.items():
        raw_signal.signal(number, raw_signal.SIG_DFL if handler is None else handler)


def restore_mask(mask):
    """Retries once: a process whose signals stay blocked could not be stopped."""
    with suppress(OSError):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
