"""`saltare doctor LINE`: what a command line would start, without starting or importing anything.

LINE is what follows `saltare`, or a line of another server with its name. The report shows where each value comes from,
how names of other servers were read, which limits apply, and what could not be done here and why. `--json` prints it
for programs.
"""

import os
import socket
import sys

from .. import __version__
from ..errors import ConfigError, StartError
from ..launch import cli
from ..launch.arguments import Line
from ..options import listing, sources, techniques
from ..options.config import AT_ONCE
from ..options.foreign import LACKS
from ..options.python_file import refusal
from ..options.table import BY_NAME, OPTIONS
from ..options.values import shown_app
from ..prefork.worker_count import usable_cpus, wanted_workers
from ..serve.core import connections_allowed
from .typed import Misread, Typed

LIMITS = (
    "max_request_line",
    "max_request_head",
    "max_request_fields",
    "max_request_body",
    "max_concurrent_connections",
    "max_connections_per_ip",
    "max_connection_lifetime",
    "limit_concurrency",
    "rate_limit_per_sec",
    "max_keepalive_requests",
    "listen_backlog",
    "ws_max_size",
    "header_timeout",
    "keep_alive_timeout",
    "body_timeout",
    "write_timeout",
    "request_timeout",
    "ws_keepalive_timeout",
    "shutdown_timeout",
)
COLUMNS, WIDEST = (28, 24), 48  # characters
AT_ONCE_TEXT = "requests are cancelled at once"
GUNICORNS = "gunicorn.conf.py"
SOMAXCONN = "/proc/sys/net/core/somaxconn"


def main(arguments):
    """Prints the report and returns the exit code: 2 if the line is not accepted."""
    as_json = "--json" in arguments
    try:
        typed = Typed([one for one in arguments if one != "--json"])
    except Misread as why:
        if not as_json:
            raise ConfigError(str(why)) from None
        print_json({"version": __version__, "accepted": False, "problems": [str(why)]})
        return 2
    line, environ = Line(typed.arguments, typed.program), {**os.environ, **typed.environment}
    if line.action == "help":
        print_help()
        return 0
    if line.action == "version" and not line.problems:
        return cli.print_version()
    if line.action not in (None, "check"):  # which it does anyway
        line.problems.append(f"--{line.action}: doctor prints its own report; leave one of them out")
    config, problems = sources.examine(
        None, line.given, environ, ".", sources.COMMAND_LINE, True, line.problems, line.command
    )
    warnings = [*config.warnings, *sources.not_read(environ, sources.COMMAND_LINE, config)]
    warnings += of_program(typed.program, line.given, environ)
    report = examined(config, problems, warnings, typed.program)
    if as_json:
        print_json(report)
    else:
        print(text(report), end="", flush=True)
    return 2 if problems else 0


def print_json(report):
    import json

    print(json.dumps(report, indent=2, ensure_ascii=False), flush=True)


def print_help():
    from ..launch.usage import usage

    print(usage("saltare doctor", [("Report", [("--json", "", "print the report as JSON")])]), end="", flush=True)


def of_program(name, given, environ):
    """Where that server would do something else than saltare, without an option for it."""
    configured = {"-k", "worker_class", "-c", "config"} & given.keys() or os.path.exists(GUNICORNS)
    if name == "gunicorn" and not configured:
        yield "gunicorn without -k serves WSGI apps, such as Flask's; saltare serves ASGI apps (a2wsgi converts one)"
    if name == "gunicorn" and environ.get("PORT") and not {"-b", "bind"} & given.keys():
        yield f"gunicorn listens on every address at PORT; saltare does not read it: write --bind :{environ['PORT']}"
    if name == "granian" and "interface" not in given:
        yield "granian without --interface serves RSGI apps; saltare serves ASGI apps"


def examined(config, problems, warnings, program):
    """The report, of values that JSON has too."""
    return {
        "version": __version__,
        "python": f"{sys.implementation.name} {sys.version.split()[0]}",
        "accepted": not problems,
        "line_of": program,
        "problems": list(problems),
        "warnings": warnings,
        "app": config.app,
        "processes": processes(config),
        "listens": listens(config),
        "options": [
            {"name": one.name, "value": value_of(config, one.name), "source": config.sources[one.name]}
            for one in OPTIONS
            if config.sources[one.name] != "default"
        ],
        "other_servers_names": list(config.notes),
        "limits": [{"name": name, "value": limit(config, name), "source": config.sources[name]} for name in LIMITS],
        "not_here": [{"what": what, "why": why} for what, why in obstacles(config)],
        "not_in_this_version": dict(LACKS),
    }


# ---- what would start ----


def processes(config):
    if not config.supervised():
        return "one process"
    count = wanted_workers(config)
    workers = f"a master and {count} {'worker' if count == 1 else 'workers'}"
    if config.reload:
        return f"{workers}, restarted when a file changes"
    if config.preload == "auto":
        return f"{workers}; the master imports the app, unless the import starts threads"
    return f"{workers}; {'the master' if config.preload else 'each worker'} imports the app"


def listens(config):
    from ..listen.listener import in_url
    from ..listen.open import addresses

    spelled = {"tcp": lambda host, port: f"{config.scheme()}://{in_url(host)}:{port}", "unix": "unix:{}".format}
    return [spelled.get(kind, "fd://{}".format)(*address) for kind, *address in addresses(config)]


def value_of(config, name):
    if "password" in name and getattr(config, name):
        return "(hidden)"
    return AT_ONCE_TEXT if cancels_at_once(config, name) else shown(getattr(config, name))


def cancels_at_once(config, name):
    """The 0 of other servers, which is not ours."""
    return name == "shutdown_timeout" and config.shutdown_timeout == AT_ONCE


def shown(value):
    if isinstance(value, (list, tuple)):
        return [shown(one) for one in value]
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)


def limit(config, name):
    value = getattr(config, name)
    if name == "max_concurrent_connections" and not value:
        return f"{allowed()}, by the limit of descriptors"
    if not value:
        return "no limit"
    if cancels_at_once(config, name):
        return AT_ONCE_TEXT
    option = BY_NAME[name]
    unit = getattr(option.kind, "unit", "")
    return listing.size_text(value) if unit == "bytes" else f"{listing.number(value)}{' s' if unit else ''}"


def allowed():
    """What the server will find: it raises its soft limit of descriptors to the hard one."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_allowed(hard if hard != resource.RLIM_INFINITY else None)


# ---- what could not be done here ----


def obstacles(config):
    """(what, why) of each."""
    yield from of_app(config)
    yield from of_sockets(config)
    yield from of_processes(config)
    yield from of_memory(config)
    if config.config is None and os.path.exists(GUNICORNS):
        yield GUNICORNS, f"gunicorn reads it without being asked, and saltare does not: {refusal(GUNICORNS, '.')}"


def of_app(config):
    from importlib.machinery import PathFinder

    if not isinstance(config.app, str):
        return
    name = config.app.partition(":")[0].partition(".")[0]
    folder = os.path.abspath(config.app_dir)
    if name not in sys.builtin_module_names and PathFinder.find_spec(name, [folder, *sys.path]) is None:
        yield "the app", f'there is no module "{name}" in {folder} or elsewhere on sys.path'


def of_sockets(config):
    from ..listen.open import addresses
    from ..listen.tcp import resolved, takes_ipv4, tcp_failure

    for kind, *address in addresses(config):
        if kind != "tcp":
            yield from of_unix_socket_or_fd(kind, *address)
            continue
        host, port = address
        try:
            for family, name in resolved(host, port):
                if why := cannot_bind(family, name, takes_ipv4(config, *name[:2])):
                    yield "listening", str(tcp_failure(why, host, port))
        except Exception as error:
            yield "listening", str(error)
    try:
        with open(SOMAXCONN) as file:
            most = int(file.read())
    except (OSError, ValueError):
        return
    if most < config.listen_backlog:
        yield "listen_backlog", f"the kernel allows {most} (net.core.somaxconn), not {config.listen_backlog}"


def of_unix_socket_or_fd(kind, where):
    from ..listen import passed, unix

    try:
        if kind == "unix":
            unix.check_path(where)
        else:
            passed.check_fd(where)
    except StartError as error:
        yield "listening", str(error)


def cannot_bind(family, name, takes_ipv4):
    """The OSError of binding to the address, which is free again at once; nobody can connect meanwhile."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_ipv4)
            sock.bind(name)
    except OSError as error:
        return error
    return None


def of_processes(config):
    from ..launch.touched import touched

    if why := touched():
        yield "a clean interpreter", f"saltare would serve in the one that it is started in: {why}"
    if config.workers > usable_cpus():
        yield (
            "workers",
            f"{config.workers} share {usable_cpus()} CPUs; --workers 0 starts as many as there are, at most 4",
        )
    if config.reload and not is_installed("watchfiles"):
        yield "watching files", 'their times are looked at instead; pip install "saltare[reload]" for watchfiles'


def is_installed(module):
    from importlib.util import find_spec

    return find_spec(module) is not None


def of_memory(config):
    if config.memory == "lean" and techniques.untested() is not None:
        yield "memory techniques", f"they are those of --memory safe: {techniques.untested()}"
    if config.park_memory is not None and (why := why_not_parked(config.park_memory)):
        yield "parking", why


def why_not_parked(folder):
    from ..memory import park

    if techniques.untested() is not None:
        return techniques.untested()
    try:
        park.check_interpreter()
        os.close(park.suitable_file(folder))
    except park.NotParked as reason:
        return str(reason)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return None


# ---- as text ----


def text(report):
    if report["accepted"]:
        lines = [f"saltare {report['version']} on {report['python']} would serve {shown_app(report['app'])}"]
    else:
        lines = [f"saltare {report['version']} would not start: options that are not accepted"]
        lines += [f"  {one}" for one in report["problems"]]
        lines += ["", "without them"]
    lines += rows([("the line is one of", report["line_of"])] if report["line_of"] else [])
    lines += rows([("processes", report["processes"]), ("listens on", ", ".join(report["listens"]))])
    lines += section("options", [(one["name"], repr(one["value"]), one["source"]) for one in report["options"]])
    lines += ["", "names of other servers", *(f"  {one}" for one in report["other_servers_names"])] * bool(
        report["other_servers_names"]
    )
    lines += ["", "warnings", *(f"  {one}" for one in report["warnings"])] * bool(report["warnings"])
    lines += section("limits", [(one["name"], str(one["value"]), one["source"]) for one in report["limits"]])
    lines += section("could not be done here", [(one["what"], one["why"]) for one in report["not_here"]])
    lines += section("not in this version", list(report["not_in_this_version"].items()))
    return "\n".join(lines) + "\n"


def section(title, cells):
    return ["", title, *rows(cells)] if cells else []


def rows(cells):
    """A line for each tuple; each column but the last is as wide as its longest cell, up to WIDEST."""
    cells = list(cells)
    widths = [
        max([least, *(len(one[at]) for one in cells if at < len(one) - 1 and len(one[at]) <= WIDEST)])
        for at, least in enumerate(COLUMNS)
    ]
    return [f"  {' '.join([*(f'{cell:<{widths[at]}}' for at, cell in enumerate(one[:-1])), one[-1]])}" for one in cells]
