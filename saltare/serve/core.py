"""The core of a server, made from its configuration."""

from .. import log
from ..app.failures import send_in_loop
from ..app.scope import IGNORED_SENDS, coded_extensions, template, websocket

MOST_CONNECTIONS = 1 << 20  # as in options/table.py
LEFT_TO_APP = 32  # descriptors, at least
ADMIN_PATHS = ("health_path", "metrics_path")  # that are answered on admin_bind alone, if it is set
PROXY_VERSIONS = {"off": 0, "v1": 1, "v2": 2, "on": 3}  # proxy_protocol -> a bit for each version


def new_core(config, options):
    """A core; `options` are those of core_options and a worker's own."""
    from .._core import Core

    core = Core(
        options=options,
        scope=template(config),
        root_path=config.root_path,
        websocket=websocket(config),
        coded=coded_extensions(config),
    )
    core.ignored_most = IGNORED_SENDS[config.asgi_spec_version]
    return core


def is_guest(config):
    """Whether the core cannot drive the requested loop, and becomes its guest."""
    from .selector import unsuitable

    why = unsuitable(config.loop)
    if why is not None and config.loop in ("auto", "asyncio"):
        log.info(f"the event loop is not saltare's own: {why}")
    return why is not None


def core_options(config, guest, admin_listeners=0):
    """Option name -> value, in the units that the core declares; 0 is off, as is an empty text. The last
    `admin_listeners` of the listeners are those of admin_bind; without any, nothing of what it is for is answered.
    """
    from .._core import options as units

    values = vars(config)
    options = {name: in_units(values[name], unit) for name, unit in units().items() if name in values}
    end_streams = config.drain_streams == "disconnect"
    proxy_versions = PROXY_VERSIONS[config.proxy_protocol]
    options["max_concurrent_connections"] = options["max_concurrent_connections"] or connections_allowed()
    options.update(
        admin_listeners=admin_listeners,
        guest=int(guest),
        debug=int(log.enabled(log.DEBUG)),
        end_streams=int(end_streams),
        proxy_versions=proxy_versions,
    )
    if config.admin_bind is not None and not admin_listeners:
        options.update(dict.fromkeys(ADMIN_PATHS, b""))
    return options


def in_units(value, unit):
    if unit == "text":  # none, one, or lines
        value = "" if value is None else value
        return (value if isinstance(value, str) else "".join(f"{line}\r\n" for line in value)).encode("latin-1")
    return round(value * 1000) if unit == "ms" else int(value)


def connections_allowed(descriptors=None):
    """The number of connections that so many descriptors allow; an eighth is left to the app's files and sockets. By
    default: the soft limit, which the core has raised to the hard one, as every Go program does when it starts.
    """
    most = descriptors or descriptors_allowed() or MOST_CONNECTIONS
    return max(1, min(most - max(most // 8, LEFT_TO_APP), MOST_CONNECTIONS))


def descriptors_allowed():
    """RLIMIT_NOFILE; None: unlimited, or unknown. (The module resource would cost a page or two.)"""
    try:
        with open("/proc/self/limits") as file:
            line = next(line for line in file if line.startswith("Max open files"))
        return int(line.split()[3])
    except (OSError, StopIteration, ValueError):
        return None


def attach(core, starter, loop, state):
    """Sets the core's callbacks."""
    core.dispatch = starter
    core.create_future = loop.create_future
    core.log = log_line
    core.elsewhere = send_in_loop
    core.state = state


def log_line(level, line):
    """Logs a line of the core: level 1 is debug, 2 an error of the app or the core, 3 a warning."""
    (log.error if level == 2 else log.warning if level == 3 else log.debug)(line)
