"""`uvicorn.run` and `uvicorn.main`, for programs that find saltare in the place of uvicorn."""

import sys

from .. import log
from ..errors import AppError, StartError
from ..launch.program import Program
from ..process.signals import in_main_thread
from .config import (
    HTTP_PROTOCOLS,
    INTERFACES,
    LIFESPAN,
    LOG_LEVELS,
    LOGGING_CONFIG,
    LOOP_SETUPS,
    SSL_PROTOCOL_VERSION,
    STARTUP_FAILURE,
    WS_PROTOCOLS,
    Config,
    fail,
    logger,
)
from .server import Server
from .state import ServerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from ..asgi import AppOrName

__all__ = [
    "HTTP_PROTOCOLS",
    "INTERFACES",
    "LIFESPAN",
    "LOGGING_CONFIG",
    "LOG_LEVELS",
    "LOOP_SETUPS",
    "SSL_PROTOCOL_VERSION",
    "STARTUP_FAILURE",
    "WS_PROTOCOLS",
    "Config",
    "Server",
    "ServerState",
    "logger",
    "main",
    "run",
]


def run(app: "AppOrName", **options: "Any") -> None:
    """Serves until stopped. Takes uvicorn's keywords and ours, and fails as uvicorn does: a log line and SystemExit."""
    config = Config(app, **options)
    if config.use_subprocess and not isinstance(app, str):
        log.warning("You must pass the application as an import string to enable 'reload' or 'workers'.")
        sys.exit(STARTUP_FAILURE)
    if in_main_thread():
        if config.use_subprocess or config.limit_max_requests:
            run_with_master(config)
            return
    elif config.use_subprocess:
        log.warning("workers and reload have no effect: only the main thread can run a master")
    if isinstance(app, str):
        config.load()
    server = Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def run_with_master(config: Config) -> None:
    """With reload, workers, or a limit on a worker's requests."""
    try:
        Program(config.options(single=False)).run()
    except (AppError, StartError) as error:
        fail(error)


def main(args: "Sequence[str] | None" = None) -> "NoReturn":
    """The command line; `args` are by default those of the process."""
    from ..launch import cli

    sys.exit(cli.main(None if args is None else list(args)))


main.main = main  # type: ignore[attr-defined]  # uvicorn's is a command of click, which has this method


def __getattr__(name: str) -> "Any":
    if name in ("ChangeReload", "Multiprocess"):
        from . import supervisors

        return getattr(supervisors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
