"""The command line: parses and checks the options, then execs an interpreter that only serves."""

import argparse
import os
import sys

from .. import __version__
from ..errors import AppError, ConfigError, StartError
from ..log import write
from ..options import listing, sources, table
from ..process import ignored
from . import interpreter

DESCRIPTION = "Serves an ASGI app over HTTP/1.1."
EPILOG = (
    "Options may also be set by environment (as named above) and by a TOML file; the order is command line, "
    "environment, file, default. Times take seconds or 500ms, 1m30s; sizes take bytes or 64KiB, 10MB. "
    "`saltare memory MODULE:ATTRIBUTE` shows where the memory of an app goes. "
    "`saltare as-uvicorn PROGRAM ARGS` runs a program that starts uvicorn by itself, on saltare. "
    "Exit codes: 0 graceful stop, 2 bad options, 3 the app failed to import or to start, 1 anything else. "
    "The documents named here are in the docs folder of the source distribution."
)


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
        return run(parsed(arguments), embedded)
    except (AppError, ConfigError, StartError) as error:
        write(f"saltare: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has closed it; the flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def run(given, embedded):
    action = given.pop("action", None)
    if action == "version":
        return print_version()
    config = sources.load(None, given, source="command line", app_needed=action != "print-config")
    if action == "print-config":
        print(listing.toml(config), end="", flush=True)
        return 0
    if action == "check":
        print(f"saltare: the configuration is valid (app {config.app})", flush=True)
        return 0
    return become_server(config, embedded)


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


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ConfigError(message)


class Once(argparse.Action):
    """Stores a value; rejects a different one for the same option."""

    def __call__(self, parser, namespace, value, flag=None):
        value = self.const if self.nargs == 0 else value
        before = getattr(namespace, self.dest, value)
        if before != value:
            raise ConfigError(f"{flag}: contradicts an earlier one: got {before!r} and {value!r}; it is accepted once")
        setattr(namespace, self.dest, value)


def parsed(arguments):
    """The given options, by name; values are still text."""
    namespace, unknown = parser().parse_known_args(arguments)
    if unknown:
        raise unknown_argument(unknown[0])
    return vars(namespace)


def unknown_argument(argument):
    name, equals, value = argument.partition("=")
    if not argument.startswith("--"):
        what = "unknown option" if argument.startswith("-") else "one argument too many"
        return ConfigError(f"{argument}: {what}; accepted: one MODULE:ATTRIBUTE and the options in saltare --help")
    given = f", got {value!r}" if equals else ""
    return sources.unknown(name[2:].replace("-", "_"), given, sources.flag_of)


def parser():
    result = Parser(
        prog="saltare",
        description=DESCRIPTION,
        epilog=EPILOG,
        usage="%(prog)s MODULE:ATTRIBUTE [options]",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, text in (
        ("check", "Check the options, import nothing, and exit."),
        ("print-config", "Print every option, its value and where the value came from, and exit."),
        ("version", "Print the versions of saltare, its core, Go and Python, and exit."),
    ):
        result.add_argument(f"--{name}", dest="action", action=Once, nargs=0, const=name, help=text)
    groups = {}
    for option in table.OPTIONS:
        if option.group not in groups:
            groups[option.group] = result.add_argument_group(option.group)
        add(groups[option.group], option)
    return result


def add(group, option):
    text = f"{option.help} ({describe(option)})".replace("%", "%%")
    if option.name == "app":
        group.add_argument("app", nargs="?", metavar=option.kind.metavar, help=text)
        return
    for name, flag in named_flags(option):
        shown = text if flag == option.flags[0] else f"the same as {option.flags[0]}"
        if listing.takes_no_value(option):
            group.add_argument(flag, dest=name, action=Once, nargs=0, const=True, help=shown)
        else:
            action = "append" if listing.repeats(option) else Once
            group.add_argument(flag, dest=name, action=action, metavar=option.kind.metavar, help=shown)
    if option.off_flag:
        text = f"the opposite of {option.flags[0]}"
        group.add_argument(option.off_flag, dest=option.name, action=Once, nargs=0, const=False, help=text)


def named_flags(option):
    return zip((option.name, *option.aliases), option.flags, strict=False)


def describe(option):
    unit = getattr(option.kind, "unit", "")
    default = listing.default_text(option)
    return f"default {default}{'; in ' + unit if unit else ''}; {option.env}"


def become_server(config, embedded):
    """Execs an interpreter without the command line's modules, if it would behave as this one does; otherwise serves
    here and returns the exit code. Embedded: a program called `main` with arguments.
    """
    from .touched import touched

    if why := "it runs a program that called the command line" if embedded else touched():
        from .run import serve_here

        return serve_here(config, why, ends_after=not embedded)
    interpreter.keep_standard_descriptors()
    code = "from saltare.launch.run import main; main({fd})"
    command, environment, _ = interpreter.clean_interpreter(code, config.values(), config.sources)
    ignored.hold()
    return os.execve(sys.executable, command, environment)
