"""saltare, an ASGI server: `run(app)`, `saltare main:app`, `with running(app, port=0)` in tests."""

__version__ = "0.1.0"
__all__ = ["AppError", "ClientDisconnected", "ConfigError", "Server", "StartError", "run", "running"]

from .errors import AppError, ClientDisconnected, ConfigError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .asgi import AppOrName
    from .launch.program import Server, running


def run(app: "AppOrName", **options: "Any") -> None:
    """Serves `app`, an ASGI 3 callable or "module:attribute", until stopped; returns after a graceful stop.

    The options are those of the command line, with underscores. In the main thread SIGINT and SIGTERM stop it.
    ConfigError: an option is not accepted. StartError: it cannot listen. AppError: the app cannot be imported or does
    not start.
    """
    from .launch.program import Server

    Server(app, **options).run()


if not TYPE_CHECKING:

    def __getattr__(name):
        # Imported on first use, so that `import saltare` costs next to nothing.
        if name in ("Server", "running"):
            from .launch import program

            return getattr(program, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
