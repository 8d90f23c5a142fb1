"""Where the serving process begins: takes the configuration the command line left, and serves: per process."""

import os
import sys

from . import _logging
from ._settings import Config
from .errors import AppError, ConfigError, StartError


def main(fd):
    """Serves as the inherited descriptor says, and ends the process with the exit code of what came of it."""
    values, sources, arguments, root = received(fd)
    clean_path(root)
    sys.argv[:] = arguments
    sys.exit(serve(Config(values, sources)))


def received(fd):
    import marshal

    with open(fd, "rb") as file:
        return marshal.load(file)


def clean_path(root):
    """Takes back what got us here, so that only --app-dir and the interpreter itself decide what is imported."""
    sys.path.remove(root)
    if sys.path[:1] == [""]:
        del sys.path[0]
    if root not in sys.path:
        sys.path.append(root)


def serve(config):
    """Runs the server until it is stopped; returns the exit code, after one line on stderr that says why."""
    try:
        run(config)
        return 0
    except (AppError, ConfigError, StartError) as error:
        if isinstance(error, AppError) and error.__cause__ is not None:
            _logging.write(_logging.traceback_of(_logging.without_our_frames(error.__cause__)))
        _logging.write(f"saltare: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        die_interrupted()
    except Exception as error:
        _logging.write(_logging.traceback_of(error))
        _logging.write(f"saltare: ended by {type(error).__name__}, see above\n")
        return 1


def run(config):
    from . import _memory
    from ._importer import load

    _memory.configure()
    _logging.configure(config)
    load(config)
    from ._server import Server
    from ._settle import settle

    server = Server.from_config(config)
    server.after_start = settle
    server.run()
    if not server.graceful:
        end_at_once()


def end_at_once():
    """Without waiting for threads that the stop has not waited for either."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(1)


def die_interrupted():
    """Ends as the signal itself would have, which is what a shell looks at; it was not serving yet."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
