"""What a child that the app forks must not keep of the server: listening sockets and signals.

A copy of a listening socket would hold the port when the server has ended, and a signal that the child gets would be
heard by the parent's loop and lost to the child. Connections are ended by the core whoever has a copy; programs inherit
nothing.
"""

import os
import signal
from threading import get_ident

_calls = set()  # of all servers of this process
_masks = {}  # of signals, by thread, while it forks
_watching = False


def call_in_child(call):
    """From now on a forked child calls `call`, until it is taken back."""
    global _watching
    _calls.add(call)
    if not _watching:
        os.register_at_fork(before=hold_signals, after_in_parent=release_signals, after_in_child=leave)
        _watching = True


def forget_call(call):
    _calls.discard(call)


def hold_signals():
    """Whose they are is not settled before the child has left."""
    _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def release_signals():
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(get_ident()))


def leave():
    """In the child."""
    while _calls:
        _calls.pop()()
    release_signals()
