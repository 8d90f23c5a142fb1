"""The errors saltare raises, and the exit code the command line gives for each: per process."""


class ConfigError(ValueError):
    """An option is unknown, not accepted, or contradicts another; the message is one line."""

    exit_code = 2


class AppError(Exception):
    """The app could not be imported or did not start; `__cause__` is its own exception, if it raised one."""

    exit_code = 3


class StartError(Exception):
    """The server could not start for a reason outside the options and the app, such as a port in use."""

    exit_code = 1


class ClientDisconnected(OSError):
    """Raised by `await send(...)` once the peer has gone, as ASGI 2.4 asks of a server."""
