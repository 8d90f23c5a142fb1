"""The exit code of a process, and the message for the exception that ends it."""

from .. import log
from ..cpython import raw_signal
from ..errors import AppError, ConfigError, StartError


def explained(run):
    """Calls `run`; returns a message about its end, "" if none is needed, and the exit code; a negative code is the
    signal to end by.
    """
    try:
        run()
        return "", 0
    except (AppError, ConfigError, StartError) as error:
        cause = error.__cause__ if isinstance(error, AppError) else None
        shown = "" if cause is None else log.traceback_of(log.without_our_frames(cause))
        return f"{shown}saltare: {error}\n", error.exit_code
    except Exception as error:
        return f"{log.traceback_of(error)}saltare: ended by {type(error).__name__}, see above\n", 1
    except SystemExit as ended:
        return "", code_of(ended)
    except KeyboardInterrupt:
        return "", -raw_signal.SIGINT


def code_of(ended):
    """The exit code that an interpreter makes of a SystemExit; its text, if any, goes to stderr."""
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    log.write(f"{ended.code}\n")
    return 1
