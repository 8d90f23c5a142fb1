"""Takes listening sockets and signals from children that the app forks.

A copy of a listening socket would hold the port after the server has ended, and the parent's loop would get the
child's signals instead of the child. The core ends connections no matter who has a copy; programs inherit nothing.
"""

import os
import signal
from threading import get_ident

_calls = set()  # by all servers of this process
_masks = {}  # of signals, by thread, while it forks
_watching = False


def call_in_child(call):
    """From now on a forked child calls `call`, until forget_call."""
    global _watching
    _calls.add(call)
    if not _watching:
        os.register_at_fork(before=hold_signals, after_in_parent=release_signals, after_in_child=leave)
        _watching = True


def forget_call(call):
    _calls.discard(call)


def hold_signals():
    """Blocks them until the child has its own handlers."""
    _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def release_signals():
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(get_ident()))


def leave():
    """In the child."""
    while _calls:
        _calls.pop()()
    release_signals()
