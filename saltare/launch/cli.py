"""The command line: reads and checks the options, then execs an interpreter that only serves."""

import os
import sys

from .. import __version__
from ..errors import AppError, ConfigError, StartError
from ..log import write
from ..options import listing, sources
from ..options.values import shown_app
from ..process import ignored
from . import interpreter
from .arguments import Line


def main(arguments=None, commands=None):
    """Runs the command and returns its exit code. To serve, it execs a clean interpreter and does not return, unless
    this interpreter was modified (see launch/touched.py). With `arguments` it always serves here, and returns.
    `commands` maps subcommands to functions, which get the arguments that follow.
    """
    embedded = arguments is not None
    if not embedded:
        ignored.ignore()  # as early as possible
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if commands and arguments and arguments[0] in commands:
            return commands[arguments[0]](arguments[1:])
        return run(Line(arguments), embedded)
    except (AppError, ConfigError, StartError) as error:
        write(f"saltare: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has closed it; the flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def run(line, embedded):
    if line.action == "help":
        return print_help()
    if line.action == "version" and not line.problems:
        return print_version()
    needed = line.action != "print-config"
    config = sources.load(
        None, line.given, source=sources.COMMAND_LINE, app_needed=needed, problems=line.problems, command=line.command
    )
    if line.action == "print-config":
        print(listing.toml(config), end="", flush=True)
        return 0
    if line.action == "check":
        print(f"saltare: the configuration is valid ({shown_app(config.app, 'app ')})", flush=True)
        return 0
    return become_server(config, embedded)


def print_help():
    from .usage import usage

    print(usage(), end="", flush=True)
    return 0


def print_version():
    try:
        from .. import _core
    except ImportError as error:
        write(f"saltare: the core cannot be loaded: {error}\n")
        return 1
    core = _core.build_info()
    python = f"{sys.implementation.name} {sys.version.split()[0]}"
    print(f"saltare {__version__} ({core['flavour']} core, {core['go']}, {python})", flush=True)
    return 0


def become_server(config, embedded):
    """Execs an interpreter without the command line's modules, if it would behave as this one does; otherwise serves
    here and returns the exit code. Embedded: a program called `main` with arguments.
    """
    from .touched import touched

    if why := "it runs a program that called the command line" if embedded else touched():
        from .in_place import serve_here

        for name, value in (config.environment or {}).items():
            os.environ.setdefault(name, value)
        return serve_here(config, why, ends_after=not embedded)
    interpreter.keep_standard_descriptors()
    code = "from saltare.launch.run import main; main({fd})"
    command, environment, _ = interpreter.clean_interpreter(code, config.values(), config.sources)
    ignored.hold()
    return os.execve(sys.executable, command, {**(config.environment or {}), **environment})
