"""One listening socket: its address, and its close without harm to others."""

import contextlib
import os
import socket


class Listener:
    """One listening socket. `close` also removes a Unix socket's name, if still ours."""

    __slots__ = ("_inode", "_path", "_pid", "address", "admin", "key", "socket", "url", "wildcard")

    def __init__(self, sock, path=None):
        self.socket = sock
        self.admin = False  # for admin_bind
        self.key = ""  # the configured address that it was opened for
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
        """From now on `close` leaves the name to another process."""
        self._path = None

    def give_to(self, uid, gid):
        """Makes a Unix socket's name belong to them."""
        if self._path:
            os.chown(self._path, uid, gid, follow_symlinks=False)

    def close(self):
        # A forked child closes its copy only; the name belongs to the process that made it.
        if self._path and self._pid == os.getpid() and inode(self._path) == self._inode:
            # Without permission to remove it, the stale name stays, and the next start replaces it.
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._path = None
        self.socket.close()

    def __repr__(self):
        return f"<Listener {self.url}>"


def with_scheme(listeners, config):
    """The listeners, whose URLs say https if the server has a certificate."""
    for one in listeners:
        one.url = one.url.replace("http:", f"{config.scheme()}:")
    return listeners


def listening(sock, config):
    if sock.family != socket.AF_UNIX:
        # Set once here: connections accepted on Linux inherit both.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        tune(sock, config)
    sock.listen(config.listen_backlog)
    sock.setblocking(False)
    return sock


# Options of the same name in lower case, 0: as the system has it. Accepted connections inherit all but the last.
TCP_OPTIONS = {
    "tcp_keepidle": socket.TCP_KEEPIDLE,
    "tcp_keepintvl": socket.TCP_KEEPINTVL,
    "tcp_keepcnt": socket.TCP_KEEPCNT,
    "tcp_user_timeout_ms": socket.TCP_USER_TIMEOUT,
    "tcp_fastopen_qlen": socket.TCP_FASTOPEN,
}


def tune(sock, config):
    """Sets the options of TCP that are configured."""
    for name, option in TCP_OPTIONS.items():
        if value := getattr(config, name):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def inode(path):
    """Identifies a file, even if another takes its name; None if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def in_url(host):
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def handed_over(listeners):
    """New descriptors of the sockets, by the listeners' keys; the names belong to the successor, which gets them.

    OSError: none is left open, and nothing has changed.
    """
    made = {}
    try:
        for listener in listeners:
            made.setdefault(listener.key, []).append(os.dup(listener.fileno()))
    except OSError:
        for fd in [fd for fds in made.values() for fd in fds]:
            os.close(fd)
        raise
    for listener in listeners:
        listener.disown()
    return made
