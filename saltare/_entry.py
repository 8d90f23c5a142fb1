"""Where the serving process begins: takes the configuration the command line left, and serves: per process."""

import os
import sys

from . import _ignored, _logging, _title
from ._origin import is_successor, needs_master, origin
from ._settings import Config
from .errors import AppError, ConfigError, StartError


def main(fd):
    """Serves as the inherited descriptor says, and ends the process with the exit code of what came of it."""
    _ignored.ignore_early()
    values, sources, arguments, command, root, added, has_ssl = received(fd)
    clean_path(root)
    remove_from_environment(added)
    sys.argv[:] = arguments
    sys.orig_argv[:] = command
    config = Config(values, sources)
    _title.of_command_line(config.app)
    _title.set_title("saltare")
    sys.exit(serve(config, has_ssl))


def received(fd):
    import marshal

    with open(fd, "rb") as file:
        return marshal.load(file)


def remove_from_environment(names):
    """For the app and its children. Go still finds them in what the kernel gave us, of which glibc then has a copy."""
    os.environ["_SALTARE_COPY"] = ""
    for name in (*names, "_SALTARE_COPY"):
        os.environ.pop(name, None)


def clean_path(root):
    """Takes back what got us here, so that only --app-dir and the interpreter itself decide what is imported."""
    sys.path.remove(root)
    if sys.path[:1] == [""]:
        del sys.path[0]
    if root not in sys.path:
        sys.path.append(root)


def serve(config, put_off_ssl=False):
    """Runs the server until it is stopped; returns the exit code, after one line on stderr that says why."""
    try:
        text, code = explained(lambda: run(config, put_off_ssl))
    except KeyboardInterrupt:
        die_interrupted()
    if text:
        _logging.write(text)
    return code


def explained(run):
    """Calls `run`; returns what to say of how it ended, "" when it ended well, and the exit code."""
    try:
        run()
        return "", 0
    except (AppError, ConfigError, StartError) as error:
        cause = error.__cause__ if isinstance(error, AppError) else None
        shown = "" if cause is None else _logging.traceback_of(_logging.without_our_frames(cause))
        return f"{shown}saltare: {error}\n", error.exit_code
    except Exception as error:
        return f"{_logging.traceback_of(error)}saltare: ended by {type(error).__name__}, see above\n", 1


def run(config, put_off_ssl):
    from . import _memory

    origin()  # the app may change the folder and the environment
    _memory.configure()
    _logging.configure(config)
    forks = needs_master(config)
    if config.park_memory is not None or (forks and config.preloads()):
        from ._park import prepare

        prepare()
    if forks:
        from ._master import Master

        server = Master(config, command_line=True)
    else:
        server = single(config, put_off_ssl)
    server.run()
    if not server.graceful:
        end_at_once()


def single(config, put_off_ssl):
    from . import _memory
    from ._fresh_code import FreshCode
    from ._importer import load
    from ._shared_code import SharedCode

    if put_off_ssl:
        from . import _later

        _later.install()
    with SharedCode(), FreshCode(is_successor()):
        load(config)  # before what serves it is, so that its errors come at once
    from ._settle import forget, rest, rest_parked, settle

    forget()
    from ._server import Server

    server = Server.from_config(config)
    server.after_start = lambda: settle(config.park_memory)
    server.on_lull = rest if config.park_memory is None else rest_parked
    server.release = _memory.RELEASE_BEFORE_WAIT
    return server


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
