"""The text of `saltare --help`."""

import argparse

from ..options import listing, table

DESCRIPTION = "Serves an ASGI app over HTTP/1.1."
EPILOG = (
    "Options may also be set by environment (as named above) and by a TOML file; the order is command line, "
    "environment, file, default. Times take seconds or 500ms, 1m30s; sizes take bytes or 64KiB, 10MB. "
    "Options of uvicorn, gunicorn, granian, hypercorn and fastapi are accepted where they mean something here. "
    "`saltare run [PATH]` and `saltare dev [PATH]` find the app as FastAPI's commands do; dev restarts when a file "
    "changes. "
    "`saltare doctor` in front of a line, also one of those servers, shows what it comes to. "
    "`saltare memory MODULE:ATTRIBUTE` shows where the memory of an app goes. "
    "`saltare as-uvicorn PROGRAM ARGS` runs a program that starts uvicorn by itself, on saltare. "
    "Exit codes: 0 graceful stop, 2 bad options, 3 the app failed to import or to start, or the port is in use, "
    "1 anything else. The documents named here are in the docs folder of the source distribution."
)


def usage(program="saltare", more=()):
    """The help text; `more` are (group, ((flag, metavar, help), ...)) of a subcommand."""
    parser = argparse.ArgumentParser(
        prog=program, description=DESCRIPTION, epilog=EPILOG, usage="%(prog)s MODULE:ATTRIBUTE|PATH [options]"
    )
    for name, text in (
        ("check", "Check the options, import nothing, and exit."),
        ("print-config", "Print every option, its value and where the value came from, and exit."),
        ("version", "Print the versions of saltare, its core, Go and Python, and exit."),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)
    groups = {}
    for option in table.OPTIONS:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        add(groups[option.group], option)
    for title, flags in more:
        group = parser.add_argument_group(title)
        for flag, metavar, text in flags:
            group.add_argument(flag, metavar=metavar, help=text) if metavar else group.add_argument(
                flag, action="store_true", help=text
            )
    return parser.format_help()


def add(group, option):
    text = f"{option.help} ({describe(option)})".replace("%", "%%")
    if option.name == "app":
        group.add_argument("app", nargs="?", metavar=option.kind.metavar, help=text)
        group.add_argument("--app", metavar="NAME", dest="name", help="Serve the app of this name in the file at PATH.")
    elif listing.takes_no_value(option):
        group.add_argument(option.flag, action="store_true", help=text)
    else:
        group.add_argument(option.flag, metavar=option.kind.metavar, help=text)
    if option.off_flag:
        group.add_argument(option.off_flag, action="store_true", help=f"the opposite of {option.flag}")


def describe(option):
    unit = getattr(option.kind, "unit", "")
    default = listing.default_text(option)
    return f"default {default}{'; in ' + unit if unit else ''}; {option.env}"
