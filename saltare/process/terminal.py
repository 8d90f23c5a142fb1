"""The terminal that this process was started on."""

import os
import select
import stat

from .. import log


def hung_up():
    """Whether the terminal we were started on is gone, which SIGHUP then means."""
    poll = select.poll()
    for fd in range(3):
        if is_character_device(fd):
            poll.register(fd, 0)
    try:
        return any(events & select.POLLHUP for _, events in poll.poll(0))
    except OSError as error:
        log.error(f"SIGHUP: cannot tell whether the terminal is gone: {error.strerror}")
        return False


def is_character_device(fd):
    try:
        return stat.S_ISCHR(os.fstat(fd).st_mode)
    except OSError:
        return False
