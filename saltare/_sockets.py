"""Listening sockets: made from the configuration, described, and closed without harm to others: per process."""

import contextlib
import errno
import os
import socket
import stat

from .errors import StartError

# sun_path holds 108 bytes, the last of them NUL (unix(7)).
UNIX_PATH_MAX_BYTES = 107
FIRST_PASSED = 3  # SD_LISTEN_FDS_START


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

    def keep(self):
        """A copy of the descriptor; the name is from now on its owner's to remove."""
        self._path = None
        return os.dup(self.socket.fileno())

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

    `inherited` has descriptors of those that are open already, by `key`; what is not asked for is closed.
    """
    listeners, inherited = [], dict(inherited or {})
    try:
        for wanted in addresses(config):
            key = " ".join(map(str, wanted))
            found = inherited.pop(key, None)
            opened = OPENERS[wanted[0]](config, *wanted[1:]) if found is None else adopted(wanted, found)
            listeners += opened
            for one in opened:
                one.key = key
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    finally:
        for fd in [fd for fds in inherited.values() for fd in fds]:
            os.close(fd)
    return listeners


def adopted(wanted, fds):
    """Listeners on descriptors of the program whose place we took."""
    path = os.path.abspath(wanted[1]) if wanted[0] == "unix" else None
    sockets = [socket.socket(fileno=fd) for fd in fds]
    for one in sockets:
        os.set_inheritable(one.fileno(), False)
        one.setblocking(False)
    return [Listener(one, path) for one in sockets]


def addresses(config):
    way = config.way()
    if passed := passed_by_systemd():
        if config.sources[way if way != "tcp" else "port"] != "default" or config.sources["host"] != "default":
            from . import _logging

            _logging.warning(f"listening on the sockets that systemd passes, not as {way} says")
        return [("systemd", fd) for fd in passed]
    if way == "bind":
        from ._net_values import address

        return [address(text) for text in config.bind]
    if way == "tcp":
        return [("tcp", config.host, config.port)]
    return [("unix", config.uds_path)] if way == "uds_path" else [("fd", config.fd)]


def passed_by_systemd():
    """The descriptors of socket activation (sd_listen_fds(3)), once: programs that the app starts must not see it."""
    pid, n = os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not n.isdigit():
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return list(range(FIRST_PASSED, FIRST_PASSED + int(n)))


def open_passed(config, number):
    """A listener on a socket of systemd's, whose own descriptor is closed, so that no program inherits it."""
    listener = on_copy(config, number)
    os.close(number)
    return [listener]


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


def open_unix(config, given):
    """A listener at a path; a socket there that nobody listens on is replaced."""
    try:
        check_length(given)
        make_room(given)
        return [Listener(bound_unix(config, given), os.path.abspath(given))]
    except OSError as error:
        raise unix_failure(given, os.strerror(error.errno).lower() if error.errno else str(error)) from None


def check_length(path):
    size = len(os.fsencode(path))
    if size > UNIX_PATH_MAX_BYTES:
        raise unix_failure(path, f"the path has {size} bytes and a socket's can have {UNIX_PATH_MAX_BYTES}")


def make_room(path):
    stale = inode(path)
    if stale is None:
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise unix_failure(path, "there is a file of that name that is not a socket")
    if not nobody_listens(path):
        raise unix_failure(path, "the socket is in use by another process")
    # Another server may have replaced the stale socket since we looked at it.
    if inode(path) == stale:
        os.unlink(path)


def nobody_listens(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (errno.ECONNREFUSED, errno.ENOENT)


def bound_unix(config, path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if config.uds_permissions is not None:
            # Linux gives the name the socket's own mode, so that it never is more open than asked for;
            # umask has its say at bind, which is why the mode is set once more.
            os.fchmod(sock.fileno(), config.uds_permissions)
        sock.bind(path)
        if config.uds_permissions is not None:
            os.chmod(path, config.uds_permissions)
        return listening(sock, config.listen_backlog)
    except BaseException:
        sock.close()
        raise


def unix_failure(path, reason):
    return StartError(f"cannot listen on unix:{path}: {reason}")


def open_fd(config, number):
    """A listener on a copy of an inherited descriptor, so that closing ours leaves the giver's alone."""
    return [on_copy(config, number)]


def on_copy(config, number):
    sock = copied(number)
    try:
        check_listening(sock, number)
        return Listener(listening(sock, config.listen_backlog))
    except BaseException:
        sock.close()
        raise


def copied(number):
    copy = None
    try:
        copy = os.dup(number)
        return socket.socket(fileno=copy)
    except OSError as error:
        if copy is not None:
            os.close(copy)
        reason = "not a socket" if error.errno == errno.ENOTSOCK else os.strerror(error.errno).lower()
        raise fd_failure(number, reason) from None


def check_listening(sock, number):
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or sock.type != socket.SOCK_STREAM:
        raise fd_failure(number, "not a TCP or unix stream socket")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise fd_failure(number, "a socket that does not listen")


def fd_failure(number, reason):
    return StartError(f"cannot listen on fd {number}: {reason}")


def inode(path):
    """What tells a file from another one that took its name; None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def in_url(host):
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


OPENERS = {"tcp": open_tcp, "unix": open_unix, "fd": open_fd, "systemd": open_passed}
