"""The errors saltare raises, and the exit code the command line gives for each."""


class ConfigError(ValueError, RuntimeError):
    """Options are unknown, not accepted, or contradict each other; `problems` and the text have a line for each."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        lines = "".join(f"\n  {one}" for one in problems)
        super().__init__(problems[0] if len(problems) == 1 else f"{len(problems)} options are not accepted:{lines}")
        self.problems = problems


class AppError(RuntimeError):
    """The app could not be imported or did not start; `__cause__` is its own exception, if it raised one."""

    exit_code = 3


class StartError(Exception):
    """The server could not start for a reason outside the options and the app, such as a missing right."""

    exit_code = 1


class AddressInUseError(StartError):
    """Another process listens on the address. The exit code is uvicorn's, for programs that then try another port."""

    exit_code = 3


class ClientDisconnected(OSError):
    """Raised by `await send(...)` once the peer has disconnected, as ASGI 2.4 requires."""


class ResponseError(Exception):
    """`send(...)` rejected a message of the app: no part of it reaches the peer. Subclasses give the reason."""


class MessageOrderError(ResponseError, RuntimeError):
    """A message out of order: a second start, a body before the start, anything after the end."""


class MessageValueError(ResponseError, ValueError):
    """A message with an item that is missing or not allowed, such as a header with a line break."""


class MessageTypeError(ResponseError, TypeError):
    """A message with an item of a wrong type, such as a str instead of bytes."""


class ContentLengthError(ResponseError, RuntimeError):
    """A body longer or shorter than the content-length of its response."""


class UnexpectedBodyError(ResponseError, RuntimeError):
    """A body for a status that has none: 204, 205 or 304."""
