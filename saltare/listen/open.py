"""Listening sockets: made from the configuration, described, and closed without harm to others: per process."""

import contextlib
import errno
import os
import socket

from ..errors import StartError


class Listener:
    """One listening socket. `close` also removes a unix socket's name, if that is still ours."""

    __slots__ = ("_inode", "_path", "_pid", "address", "key", "socket", "url", "wildcard")

    def __init__(self, sock, path=None):
        self.socket = sock
        self.key = ""  # what was asked for when it was opened
        self._path, self._inode, self._pid = path, path and inode(path), os.getpid()
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            shown = path or os.fsdecode(name)
            self.address, self.url, self.wildcard = (shown, None), f"unix:{shown}", False
            return
        host, port = name[:2]
        self.address, self.url = (host, port), f"http://{in_url(host)}:{port}"
        self.wildcard = host in ("0.0.0.0", "::")

    def fileno(self):
        return self.socket.fileno()

    def disown(self):
        """The name is from now on somebody else's to remove."""
        self._path = None

    def close(self):
        # A forked child closes its copy only; the name belongs to the process that made it.
        if self._path and self._pid == os.getpid() and inode(self._path) == self._inode:
            # Without the right to remove it the name stays, stale, for the next start to replace.
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._path = None
        self.socket.close()

    def __repr__(self):
        return f"<Listener {self.url}>"


def open_listeners(config, inherited=None):
    """All the sockets asked for, listening and non-blocking; StartError, and none of them left open, if one fails.

    `inherited` has descriptors of those that are open already, by `key`; what is not asked for is closed. Of an error
    they know nothing: they stay open.
    """
    inherited, made = dict(inherited or {}), []
    try:
        for wanted in addresses(config):
            key = " ".join(map(str, wanted))
            found = inherited.pop(key, None)
            made.append((key, wanted, found, [] if found else opened_as(config, *wanted)))
    except BaseException:
        for listener in [listener for *_, listeners in made for listener in listeners]:
            listener.close()
        raise
    for fd in [fd for fds in inherited.values() for fd in fds]:
        os.close(fd)
    return [one for key, wanted, found, opened in made for one in named(key, opened or taken_over(wanted, found))]


def open_or_keep(config, inherited):
    """The same for a program that takes the place of another: where that listened is better than nowhere."""
    try:
        return open_listeners(config, inherited)
    except StartError as error:
        if not inherited:
            raise
        from .. import log

        log.error(f"{error}; the server goes on listening where it did")
        return [one for key, fds in inherited.items() for one in named(key, taken_over(key.split(" ", 1), fds))]


def named(key, listeners):
    for one in listeners:
        one.key = key
    return listeners


def opened_as(config, kind, *address):
    """What is seldom asked for is loaded only then."""
    if kind == "tcp":
        return open_tcp(config, *address)
    if kind == "unix":
        from .unix import open_unix

        return open_unix(config, *address)
    from . import passed

    return passed.OPENERS[kind](config, *address)


def taken_over(wanted, fds):
    from .passed import adopted

    return adopted(wanted, fds)


def addresses(config):
    way = config.way()
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        from .passed import passed_by_systemd

        if passed := passed_by_systemd(config):
            return passed
    if way == "bind":
        from ..options.net_values import address

        return [address(text) for text in config.bind]
    if way == "tcp":
        return [("tcp", config.host, config.port)]
    return [("unix", config.uds_path)] if way == "uds_path" else [("fd", config.fd)]


def open_tcp(config, host, port):
    """A listener per address of the name; addresses this machine does not have are left out, unless none remains."""
    listeners, missing = [], None
    try:
        for family, name in resolved(host, port):
            # With port 0 all addresses of a name get the port that the first one got.
            taken = listeners[0].address[1] if listeners and port == 0 else port
            try:
                listeners.append(Listener(bound_tcp(config, family, (name[0], taken, *name[2:]))))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise tcp_failure(error, host, taken) from None
                missing = error
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    if not listeners:
        raise tcp_failure(missing, host, port)
    return listeners


def resolved(host, port):
    """(family, socket name) of each address of a host, IPv4 first: that is the one a URL of ours is read from."""
    try:
        # As bytes it does not need the tables of the idna codec, 0.4 MiB.
        name = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise StartError(f"cannot listen on {host}: the name does not resolve: {reason}") from None
    inet = (socket.AF_INET, socket.AF_INET6)
    unique = dict.fromkeys((family, name) for family, _, _, _, name in found if family in inet)
    return sorted(unique, key=lambda one: one[0] != socket.AF_INET)


def bound_tcp(config, family, name):
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if config.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(name)
        return listening(sock, config.listen_backlog)
    except BaseException:
        sock.close()
        raise


def listening(sock, backlog):
    if sock.family != socket.AF_UNIX:
        # Set once here: what Linux accepts from the socket inherits both.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


def tcp_failure(error, host, port):
    where = f"cannot listen on {in_url(host)}:{port}: "
    if error.errno == errno.EADDRINUSE:
        return StartError(f"{where}the port is in use; another --port, or 0 for a free one, avoids that")
    if error.errno in (errno.EACCES, errno.EPERM) and port < 1024:
        return StartError(f"{where}permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"{where}this machine does not have the address")
    return StartError(where + os.strerror(error.errno).lower() if error.errno else f"{where}{error}")


def inode(path):
    """What tells a file from another one that took its name; None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def in_url(host):
    return f"[{host.replace('%', '%25')}]" if ":" in host else host
