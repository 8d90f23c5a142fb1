"""The file that holds the pid of a server, for scripts and supervisors."""

import os
from contextlib import suppress

from ..errors import StartError

LONGEST = 32  # bytes; a longer file is none of a server


def check(path):
    """StartError: the file is of a server that runs, or no pid file."""
    pid = holder(path)
    if pid not in (0, os.getpid()) and lives(pid):
        raise failure(
            path,
            f"it names process {pid}, which is running; stop that server, or remove the file if the process is another",
        )


def holder(path):
    """The pid in the file; 0 if there is none."""
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST + 1).strip()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise failure(path, error.strerror) from None
    if (text and not text.isdigit()) or len(text) > LONGEST:
        raise failure(path, "there is a file of that name that is no pid file")
    return int(text or 0)


def lives(pid):
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def write(path, owner=None):
    """Replaces the file by one with our pid, unless it has that already. `owner`: its (user, group)."""
    if holder(path) == os.getpid():
        return
    new = f"{path}.{os.getpid()}"
    try:
        with suppress(FileNotFoundError):
            os.unlink(new)  # of a server that was killed here
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            try:
                os.fchmod(fd, 0o644)  # whatever the umask
                if owner is not None:
                    os.fchown(fd, *owner)
                os.write(fd, b"%d\n" % os.getpid())
            finally:
                os.close(fd)
            os.rename(new, path)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as error:
        raise failure(path, error.strerror) from None


def remove(path):
    """Removes the file if it is ours. Without a right to do so, it becomes empty."""
    with suppress(OSError, StartError):
        if holder(path) != os.getpid():
            return
        try:
            os.unlink(path)
        except OSError:
            os.truncate(path, 0)


def failure(path, why):
    return StartError(f"pid: cannot use {path}: {why[:1].lower()}{why[1:]}")
