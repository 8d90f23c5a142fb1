"""saltare, an ASGI server: `run(app)`, `saltare main:app`, `with running(app, port=0)` in tests: per process."""

__version__ = "0.1.0"
__all__ = ["AppError", "ClientDisconnected", "ConfigError", "Server", "StartError", "run", "running"]

from .errors import AppError, ClientDisconnected, ConfigError, StartError


def run(app, **options):
    """Serves `app`, an ASGI 3 callable or "module:attribute", until it is stopped; returns after a graceful stop.

    The options are those of the command line, with underscores. In the main thread SIGINT and SIGTERM stop it.
    ConfigError: an option is not accepted. StartError: it cannot listen. AppError: the app cannot be imported or does
    not start.
    """
    from .serve.server import Server

    Server(app, **options).run()


def __getattr__(name):
    # Imported when asked for, so that `import saltare` costs next to nothing.
    if name == "Server":
        from .serve.server import Server

        return Server
    if name == "running":
        from .serve.in_thread import running

        return running
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
