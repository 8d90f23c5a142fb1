"""Listening sockets that are already open: inherited by --fd, passed by systemd, or left by the previous program."""

import errno
import os
import socket

from .. import log
from ..errors import StartError
from .listener import Listener, listening, with_scheme

REASONS = {
    errno.ENOTSOCK: "not a socket",
    errno.EBADF: "bad file descriptor; what starts saltare has to pass a socket that listens by that number",
}
FIRST_PASSED = 3  # SD_LISTEN_FDS_START


def adopted(wanted, fds):
    """Listeners on descriptors that the previous program left."""
    path = os.path.abspath(wanted[1]) if wanted[0] == "unix" else None
    sockets = []
    try:
        for fd in fds:
            sockets.append(socket.socket(fileno=fd))
            os.set_inheritable(fd, False)
            sockets[-1].setblocking(False)
        return [Listener(one, path) for one in sockets]
    except BaseException:
        for one in sockets:
            one.detach()  # otherwise the server's listening sockets would be closed
        raise


def passed_by_systemd(config):
    """The sockets of socket activation (sd_listen_fds(3)), once: the app's child programs must not see them."""
    n = os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if not n.isdigit() or int(n) == 0:
        return []
    way = config.way()
    if not all(config.sources[name].startswith("default") for name in (way if way != "tcp" else "port", "host")):
        log.warning(f"listening on the sockets that systemd passes, not as {way} says")
    return [("systemd", fd) for fd in range(FIRST_PASSED, FIRST_PASSED + int(n))]


def open_passed(config, number):
    """A listener on a copy of systemd's descriptor, which is closed, so that no program inherits it."""
    listener = on_copy(config, number)
    os.close(number)
    return [listener]


def open_fd(config, number):
    """A listener on a copy of an inherited descriptor, so that closing ours leaves the original open."""
    return [on_copy(config, number)]


def of_program(config, sockets):
    """Listeners on copies of sockets that a program has bound; whether they listen already does not matter."""
    listeners = []
    try:
        for one in sockets:
            listeners.append(Listener(listening(copied(one.fileno()), config)))
    except BaseException as error:
        for listener in listeners:
            listener.close()
        if isinstance(error, OSError):
            raise StartError(f"cannot listen on the sockets given: {os.strerror(error.errno).lower()}") from None
        raise
    return with_scheme(listeners, config)


def on_copy(config, number):
    sock = copied(number)
    try:
        check_listening(sock, number)
        return Listener(listening(sock, config))
    except BaseException:
        sock.close()
        raise


def check_fd(number):
    """StartError: it is no socket that listens."""
    with copied(number) as sock:
        check_listening(sock, number)


def copied(number):
    copy = None
    try:
        copy = os.dup(number)
        return socket.socket(fileno=copy)
    except OSError as error:
        if copy is not None:
            os.close(copy)
        raise fd_failure(number, REASONS.get(error.errno) or os.strerror(error.errno).lower()) from None


def check_listening(sock, number):
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or sock.type != socket.SOCK_STREAM:
        raise fd_failure(number, "not a TCP or Unix stream socket")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise fd_failure(number, "a socket that does not listen")


def fd_failure(number, reason):
    return StartError(f"cannot listen on fd {number}: {reason}")


OPENERS = {"fd": open_fd, "systemd": open_passed}
