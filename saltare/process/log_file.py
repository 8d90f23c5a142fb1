"""The file of the access log, before and while the core writes it."""

import os

from .. import log
from ..errors import StartError

STREAMS = {"stdout": 1, "stderr": 2}  # as in gocore/internal/accesslog/file.go


def check(path):
    """StartError: the core could not write there."""
    try:
        if path in STREAMS:
            os.fstat(STREAMS[path])
        else:
            # A FIFO without a reader is refused, as the core refuses it.
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666))
    except OSError as error:
        raise StartError(f"access_log_path: cannot write to {path}: {error.strerror}") from None


def reopen(core, path):
    """Opens the file again, after it was renamed. Logs a failure, after which the old file stays."""
    try:
        core.reopen_log()
    except OSError as error:
        log.error(f"the access log stays in the old file, because {path} cannot be opened: {error.strerror}")
