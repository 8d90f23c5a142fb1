"""Signals that mean nothing to a server, but would end or stop it by default.

They get a handler that does nothing, since programs that the app starts would inherit SIG_IGN. SIGQUIT means the same
as SIGTERM. A SIGHUP that comes before the process serves is remembered. Handlers that others have set, from Python or
from C (faulthandler.register), stay.

The code uses raw_signal: `signal` makes enums of all numbers, which writes to memory that workers share.
"""

import os

from .. import _process
from ..cpython import raw_signal

IGNORED = (raw_signal.SIGTTIN, raw_signal.SIGTTOU, raw_signal.SIGUSR1, raw_signal.SIGUSR2)
EARLY = (*IGNORED, raw_signal.SIGQUIT, raw_signal.SIGHUP)

DEFAULT = 0  # of _process.handler

_of_python = None  # the C function that handles signals with a Python handler
_hang_ups = 0  # number of SIGHUPs before the process served


def caught(number, frame):
    """Does nothing. A wake-up descriptor still gets the number."""


def terminated(number, frame):
    """SIGQUIT before the process serves: ends it as SIGTERM does."""
    os.kill(os.getpid(), raw_signal.SIGTERM)


def remembered(number, frame):
    """SIGHUP before the process serves: kept until it does, unless the terminal is gone."""
    global _hang_ups
    from .terminal import hung_up

    if hung_up():
        raw_signal.signal(number, raw_signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _hang_ups += 1


def hang_ups():
    """Returns and clears the number remembered."""
    global _hang_ups
    count, _hang_ups = _hang_ups, 0
    return count


def ignore():
    """Catches those that have their default action; returns them. Does nothing except in the main thread."""
    return catch(IGNORED, caught)


def ignore_early():
    """The same for a process of ours that does not serve yet: SIGQUIT acts as SIGTERM, SIGHUP waits."""
    catch((raw_signal.SIGQUIT,), terminated)
    catch((raw_signal.SIGHUP,), remembered)
    ignore()
    raw_signal.pthread_sigmask(raw_signal.SIG_UNBLOCK, EARLY)


def hold():
    """Blocks them until the next program calls ignore_early(), since exec resets the handlers."""
    raw_signal.pthread_sigmask(raw_signal.SIG_BLOCK, EARLY)


def catch(numbers, handler):
    """Sets a handler for those that have their default action; returns them."""
    global _of_python
    mine = [number for number in numbers if _process.handler(number) == DEFAULT]
    try:
        for number in mine:
            raw_signal.signal(number, handler)
            _of_python = _process.handler(number)
    except ValueError:
        return []
    return mine


def is_free(number):
    """Whether no other code has set a handler."""
    return is_ours(number) or _process.handler(number) == DEFAULT


def is_ours(number):
    return raw_signal.getsignal(number) in OURS and _process.handler(number) == _of_python


def restore(numbers=EARLY):
    """Restores the default action of those that still have our handler."""
    for number in numbers:
        if is_ours(number):
            raw_signal.signal(number, raw_signal.SIG_DFL)


OURS = (caught, terminated, remembered)
