"""The core of a server, made from its configuration."""

import gc
from functools import partial

from .. import log
from ..app.failures import send_in_loop
from ..app.scope import IGNORED_SENDS, coded_extensions, template, websocket
from ..errors import ConfigError

MOST_CONNECTIONS = 1 << 20  # as in options/table.py
LEFT_TO_APP = 32  # descriptors, at least
BY_PATH = {"request_timeout_path": 1000, "max_request_body_path": 1}  # and by what a value is multiplied
ADMIN_PATHS = (
    "health_path",
    "metrics_path",
    "status_path",
    "tracemalloc_path",
)  # that are answered on admin_bind alone, if it is set
PROXY_VERSIONS = {"off": 0, "v1": 1, "v2": 2, "on": 3}  # proxy_protocol -> a bit for each version


def prepare(config):
    """Makes the process what the configuration says of its user, group, umask and pid file, and applies what it says of
    logs. StartError: it cannot become that, or the access log cannot be written.
    """
    if config.has_identity():
        from .identity import assume

        assume(config)
    if config.tracemalloc_path is not None:
        from .traced import begin

        begin()
    log.configure(config)
    if config.access_log:
        from ..process.log_file import check

        check(config.access_log_path)


def release(config):
    """At the end of the server: removes the pid file."""
    if config.has_identity():
        from .identity import release

        release(config)


def new_core(config, options):
    """A core; `options` are those of core_options and a worker's own."""
    try:
        core = module(config).Core(
            options=options,
            scope=template(config),
            root_path=config.root_path,
            websocket=websocket(config),
            coded=coded_extensions(config),
        )
    except ValueError as error:  # a certificate or key that cannot be used
        raise ConfigError(str(error)) from None
    core.ignored_most = IGNORED_SENDS[config.asgi_spec_version]
    return core


def app_of(server):
    """The app that gets the requests."""
    config = server.config
    if config.tracemalloc_path is None:
        return config.app
    from .traced import traced

    return traced(server)


def module(config):
    """The flavour of the core: the full one takes 0.4 MiB more, so it is loaded only for what the plain one lacks."""
    if config.ssl_certfile:
        from .. import _core_full as core
    else:
        from .. import _core as core
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
    values, units = vars(config), module(config).options()
    options = {
        name: by_path(values[name], BY_PATH[name]) if name in BY_PATH else in_units(name, values[name], unit)
        for name, unit in units.items()
        if name in values
    }
    if config.ssl_certfile:
        from .tls import tls_options

        options.update(tls_options(config))
    end_streams = config.drain_streams == "disconnect"
    proxy_versions = PROXY_VERSIONS[config.proxy_protocol]
    options["max_concurrent_connections"] = options["max_concurrent_connections"] or connections_allowed()
    options.update(
        admin_listeners=admin_listeners,
        guest=int(guest),
        debug=int(log.enabled(log.DEBUG)),
        end_streams=int(end_streams),
        proxy_versions=proxy_versions,
        hsts=hsts(config).encode(),
    )
    if config.admin_bind is not None and not admin_listeners:
        options.update(dict.fromkeys(ADMIN_PATHS, b""))
    return options


def in_units(name, value, unit):
    if unit == "text":  # none, one, or lines
        value = "" if value is None else value
        text = value if isinstance(value, str) else "".join(f"{line}\r\n" for line in value)
        return text.encode("utf-8", "surrogateescape") if name.startswith("access_log") else text.encode("latin-1")
    return round(value * 1000) if unit == "ms" else int(value)


def hsts(config):
    """The value of Strict-Transport-Security; an empty text: the field is not sent."""
    if not config.hsts_max_age:
        return ""
    subdomains = "; includeSubDomains" if config.hsts_include_subdomains or config.hsts_preload else ""
    return f"max-age={config.hsts_max_age}{subdomains}{'; preload' if config.hsts_preload else ''}"


def by_path(limits, factor):
    """Lines of "VALUE PREFIX", from "PREFIX=VALUE"."""
    split = [one.rpartition("=") for one in limits]
    return "".join(f"{round(float(value) * factor)} {prefix}\r\n" for prefix, _, value in split).encode()


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


def set_quiet_work(server, core, starter):
    """Sets up what is done about memory while the server is quiet."""
    config = server.config
    if server.cleanup is not None:
        server.cleanup.attach(server._loop, core)
    elif config.park_memory is not None:
        log.warning(
            "memory is not parked: saltare serves in the interpreter that it was started in "
            f"({server.why_here}); `saltare MODULE:ATTRIBUTE --park-memory DIR` starts one of its own"
        )
    if config.gc_collect_every_n_requests:
        starter.collect = partial(gc.collect, 0)
        starter.collect_every = config.gc_collect_every_n_requests


def log_line(level, line):
    """Logs a line of the core: level 1 is debug, 2 an error of the app or the core, 3 a warning."""
    (log.error if level == 2 else log.warning if level == 3 else log.debug)(line)
