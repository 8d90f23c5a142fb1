"""What a process is to the system: its umask, its pid file, its user and group. Imported only where one is configured.

Root opens the sockets and writes the pid file, and gives up its rights before the app and the files of logs are opened,
so that they belong to the user.
"""

import os

from .. import log
from ..errors import StartError
from ..listen.listener import handed_over
from ..listen.open import close_opened, open_listeners
from ..process import pid_file
from ..restart.origin import TRIAL, is_successor
from . import rights

PASSED = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")  # of systemd


def assume(config):
    """Once, in the process that opens the sockets. StartError, unless workers or clients already depend on it."""
    if config.identity is not None:
        return
    config.identity = os.getpid()
    if config.umask is not None:
        os.umask(config.umask)
    if TRIAL in os.environ:
        become(config, None)
    elif not is_successor():
        begin(config)
    else:
        for step in (begin_pid_file, become):
            try:
                step(config, None)
            except (StartError, ValueError) as error:  # a user that has been removed
                log.error(f"SIGHUP: {error}")


def begin(config):
    wanted = rights.wanted(config.user, config.group)
    if config.pid is not None:
        pid_file.check(config.pid)
    if wanted is not None:
        open_for(config, wanted)
    try:
        begin_pid_file(config, wanted)
        become(config, wanted)
    except BaseException:
        release(config)
        raise


def open_for(config, wanted):
    """Opens the sockets, with the rights that the process still has."""
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    listeners = open_listeners(config)
    os.environ.update(passed)  # for the second look, which finds the sockets opened
    try:
        for one in listeners:
            one.give_to(wanted.uid, wanted.gid)
        config.opened = handed_over(listeners)
    except OSError as error:
        raise StartError(f"cannot prepare the sockets for another user: {error.strerror.lower()}") from None
    finally:
        for one in listeners:
            one.close()


def begin_pid_file(config, wanted):
    if config.pid is not None:
        pid_file.write(config.pid, wanted and (wanted.uid, wanted.gid))


def become(config, wanted):
    wanted = wanted or rights.wanted(config.user, config.group)
    if wanted is not None:
        rights.assume(wanted)


def release(config):
    """At the end of the server."""
    if config.identity != os.getpid():
        return  # a worker's copy, or nothing was assumed
    config.identity = None
    close_opened(config)
    if config.pid is not None:
        pid_file.remove(config.pid)
