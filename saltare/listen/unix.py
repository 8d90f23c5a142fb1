"""Unix sockets: their names in the file system, created and removed without harm to others."""

import errno
import os
import socket
import stat

from ..errors import AddressInUseError, StartError
from .listener import Listener, inode, listening

# sun_path holds 108 bytes, the last of them NUL (unix(7)).
UNIX_PATH_MAX_BYTES = 107


def open_unix(config, given):
    """A listener at a path; replaces a socket there that has no listener."""
    try:
        check_length(given)
        make_room(given)
        return [Listener(bound_unix(config, given), os.path.abspath(given))]
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise unix_failure(given, no_folder(given)) from None
        raise unix_failure(given, os.strerror(error.errno).lower() if error.errno else str(error)) from None


def check_length(path):
    size = len(os.fsencode(path))
    if size > UNIX_PATH_MAX_BYTES:
        raise unix_failure(path, f"the path has {size} bytes and a socket's can have {UNIX_PATH_MAX_BYTES}")


def make_room(path):
    stale = stale_socket(path)
    # Another server may have replaced it since we looked at it.
    if stale is not None and inode(path) == stale:
        os.unlink(path)


def stale_socket(path):
    """Identifies the socket there, which has no listener; None if the name is free. StartError: it is not."""
    found = inode(path)
    if found is None:
        return None
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise unix_failure(path, "there is a file of that name that is not a socket")
    if not nobody_listens(path):
        raise AddressInUseError(f"{failure(path)} the socket is in use by another process")
    return found


def check_path(path):
    """StartError: no socket could be made there."""
    check_length(path)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise unix_failure(path, no_folder(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unix_failure(path, "the folder is not writable")
    stale_socket(path)


def nobody_listens(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (errno.ECONNREFUSED, errno.ENOENT)


def bound_unix(config, path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the name the socket's own mode, so it is never more open than configured;
        # the umask applies at bind, so the mode is set once more.
        mode = permissions(config)
        os.fchmod(sock.fileno(), mode)
        sock.bind(path)
        try:
            os.chmod(path, mode)
            return listening(sock, config)
        except BaseException:
            os.unlink(path)
            raise
    except BaseException:
        sock.close()
        raise


def permissions(config):
    """Other servers apply their umask to sockets."""
    masked = config.umask is not None and config.sources["uds_permissions"].startswith("default")
    return config.uds_permissions & ~config.umask if masked else config.uds_permissions


def no_folder(path):
    return f"there is no folder {os.path.dirname(os.path.abspath(path))}; create it"


def unix_failure(path, reason):
    return StartError(f"{failure(path)} {reason}")


def failure(path):
    return f"cannot listen on unix:{path}:"
