"""saltare, an ASGI server: `run(app)`, `saltare main:app`, `with running(app, port=0)` in tests."""

__version__ = "0.1.0"
__all__ = ["AppError", "ClientDisconnected", "Config", "ConfigError", "Server", "StartError", "run", "running"]

from .errors import AppError, ClientDisconnected, ConfigError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .asgi import AppOrName
    from .compat import config as config
    from .compat import importer as importer
    from .compat import logging as logging
    from .compat import supervisors as supervisors
    from .compat.config import Config
    from .compat.server import Server, running


def run(app: "AppOrName", **options: "Any") -> None:
    """Serves `app`, an ASGI 3 callable or "module:attribute", until stopped; returns after a graceful stop.

    The options are those of the command line, with underscores. In the main thread SIGINT and SIGTERM stop it.
    ConfigError: an option is not accepted. StartError: it cannot listen. AppError: the app cannot be imported or does
    not start.
    """
    from .launch.call import run

    run(app, options)


if not TYPE_CHECKING:
    # Imported on first use, so that `import saltare` costs next to nothing. The modules are for programs that say
    # `import saltare as uvicorn`.
    _MODULES = ("config", "importer", "logging", "supervisors")
    _NAMES = {"Config": "config", "Server": "server", "running": "server"}

    def __getattr__(name):
        from importlib import import_module

        if name in _MODULES:
            return import_module(f".compat.{name}", __name__)
        if name in _NAMES:
            return getattr(import_module(f".compat.{_NAMES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
