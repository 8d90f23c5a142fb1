"""`saltare.Config`: a configuration by uvicorn's names, which keeps its values as they were given."""

import logging
import os
import socket
import sys
from copy import copy
from typing import Literal

from .. import log
from ..app import importer
from ..app.env_file import load_file
from ..errors import AppError, ConfigError, StartError
from ..listen.unix import make_room
from ..log_config import apply
from ..modules import put_first
from ..options import config as options_config
from ..options.proxy_values import LOCAL_PEERS
from ..options.sources import load
from ..options.table import BY_NAME
from .logging import LOG_LEVELS, TRACE_LOG_LEVEL
from .signature import KnownParameters
from .state import LifespanState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..asgi import AppOrName

STARTUP_FAILURE = AppError.exit_code
HTTP_PROTOCOLS: "dict[str, Any]" = dict.fromkeys(("auto", "h11", "httptools"))
WS_PROTOCOLS: "dict[str, Any]" = dict.fromkeys(("auto", "none", "websockets", "websockets-sansio", "wsproto"))
LIFESPAN: "dict[str, Any]" = dict.fromkeys(("auto", "on", "off"))
LOOP_FACTORIES: "dict[str, Any]" = dict.fromkeys(("none", "auto", "asyncio", "uvloop"))
LOOP_SETUPS = LOOP_FACTORIES  # its name in versions before 0.36
INTERFACES = ["auto", "asgi3", "asgi2", "wsgi"]
SSL_PROTOCOL_VERSION = 17  # ssl.PROTOCOL_TLS_SERVER, without loading ssl

# Types that programs import for annotations.
HTTPProtocolType: "Any" = Literal[tuple(HTTP_PROTOCOLS)]
WSProtocolType: "Any" = Literal[tuple(WS_PROTOCOLS)]
LifespanType: "Any" = Literal[tuple(LIFESPAN)]
LoopFactoryType: "Any" = Literal[tuple(LOOP_FACTORIES)]
LoopSetupType = LoopFactoryType
InterfaceType: "Any" = Literal[tuple(INTERFACES)]


class UvicornDeprecationWarning(UserWarning):
    """For programs that filter it; nothing here warns."""


LOGGING_CONFIG: "dict[str, Any]" = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "saltare.logging.DefaultFormatter",
            "fmt": "%(levelprefix)s %(message)s",
            "use_colors": None,
        },
        "access": {
            "()": "saltare.logging.AccessFormatter",
            "fmt": '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s',
        },
    },
    "handlers": {
        "default": {"formatter": "default", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}

logger = logging.getLogger("uvicorn.error")

# uvicorn's keywords after `app`, in its order, and their defaults: the values of the attributes that are not given.
DEFAULTS: "dict[str, Any]" = {
    "host": "127.0.0.1",
    "port": 8000,
    "uds": None,
    "fd": None,
    "loop": "auto",
    "http": "auto",
    "ws": "auto",
    "ws_max_size": 16 << 20,
    "ws_max_queue": 32,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": True,
    "lifespan": "auto",
    "env_file": None,
    "log_config": LOGGING_CONFIG,
    "log_level": None,
    "access_log": True,
    "use_colors": None,
    "interface": "auto",
    "reload": False,
    "reload_dirs": [],
    "reload_delay": 0.25,
    "reload_includes": [],
    "reload_excludes": [],
    "workers": 1,
    "proxy_headers": True,
    "server_header": True,
    "date_header": True,
    "forwarded_allow_ips": None,
    "root_path": "",
    "limit_concurrency": None,
    "limit_max_requests": None,
    "limit_max_requests_jitter": 0,
    "backlog": 2048,
    "timeout_keep_alive": 5,
    "timeout_notify": 30,
    "timeout_graceful_shutdown": None,
    "timeout_worker_healthcheck": 5,
    "callback_notify": None,
    "ssl_keyfile": None,
    "ssl_certfile": None,
    "ssl_keyfile_password": None,
    "ssl_version": SSL_PROTOCOL_VERSION,
    "ssl_cert_reqs": 0,
    "ssl_ca_certs": None,
    "ssl_ciphers": None,
    "ssl_context_factory": None,
    "headers": [],
    "factory": False,
    "h11_max_incomplete_event_size": None,
    "reset_contextvars": False,
}
# What this class does itself. The others are options of ours, or other names of them.
OWN = {
    "access_log",
    "app",
    "callback_notify",
    "env_file",
    "headers",
    "log_config",
    "timeout_notify",
    "use_colors",
}
# What a Server of uvicorn leaves to the program that runs several of them.
OF_SEVERAL = {"workers", "limit_max_requests", "limit_max_requests_jitter"}
OF_UVICORN = ("FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY")  # variables that __init__ reads
MEANINGFUL_NONE = ("timeout_graceful_shutdown", "ws_ping_interval", "ws_ping_timeout")  # others: as if not given


class Config:
    """Takes uvicorn's keywords and all options of `saltare.run`. ConfigError: one is not accepted.

    An attribute that a program sets before the server starts counts as given. What was given means what it means in
    uvicorn; what was not has the default of saltare.
    """

    __signature__ = KnownParameters(DEFAULTS)
    lifespan_class = LifespanState
    _last: "tuple[Any, dict[str, Any], options_config.Config] | None" = None  # what was read, and the outcome
    loaded = False
    loaded_app: "Any" = None
    ssl: "Any" = None

    def __init__(self, app: "AppOrName", *positional: "Any", **given: "Any") -> None:
        given.update(zip(DEFAULTS, positional, strict=False))
        self._given = dict(given)  # first, because __setattr__ adds to it
        vars(self).update(DEFAULTS, app=app, forwarded_allow_ips=",".join(LOCAL_PEERS))
        if given.get("env_file") is not None:
            load_file(given["env_file"])
        if given.get("forwarded_allow_ips") is None:
            given.pop("forwarded_allow_ips", None)
            if "FORWARDED_ALLOW_IPS" in os.environ:
                given["forwarded_allow_ips"] = os.environ["FORWARDED_ALLOW_IPS"]
        for name, default in DEFAULTS.items():
            if isinstance(default, list):
                vars(self)[name] = given.pop(name, None) or []
        if given.get("workers") is None:
            given["workers"] = int(os.environ.get("WEB_CONCURRENCY") or 1)
        for name, value in given.items():
            setattr(self, name, value)
        self.configure_logging()
        self._tell()
        log.configure(self.options())  # refuses what is not accepted

    def __setattr__(self, name: str, value: "Any") -> None:
        if name in DEFAULTS or name in BY_NAME:
            self._given[name] = value
        object.__setattr__(self, name, value)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> "Any": ...

    def options(self, single: bool = True) -> options_config.Config:
        """The same as our options. `single`: for one process, as a Server of uvicorn is."""
        given = {name: value for name, value in self._given.items() if is_option(name, value, single)}
        if not self.reload:
            given = {name: value for name, value in given.items() if not name.startswith("reload")}
        if self.reload:
            given.pop("workers", None)  # as uvicorn does
        for name in self._ways_not_used():
            given.pop(name, None)
        if self.headers:
            given.update(fields(self.headers))
        app = self.app
        if self.loaded:
            app = self.loaded_app
            given.pop("factory", None)
        options = self._read(app, given)
        if single:  # neither by the environment
            options.workers, options.reload, options.limit_max_requests = 1, False, 0
        access = logging.getLogger(log.UVICORNS_REQUESTS)
        options.server_logger = log.UVICORNS
        options.request_logger = access.name if self.access_log and access.hasHandlers() else None
        return options

    def _tell(self) -> None:
        """What uvicorn says of a new configuration."""
        if self.env_file is not None:
            logger.info("Loading environment from '%s'", self.env_file)
        if self.reload and self.workers > 1:
            logger.warning('"workers" flag is ignored when reloading is enabled.')
        if not self.should_reload and (self.reload_dirs or self.reload_includes or self.reload_excludes):
            logger.warning("reload_dirs, reload_includes and reload_excludes have no effect: reload is off")

    def _ways_not_used(self) -> "tuple[str, ...]":
        """Of several ways to listen uvicorn takes one in silence: programs give a host beside uds."""
        if self.fd is not None:
            return "uds", "host", "port"
        return () if self.uds is None else ("host", "port")

    def _read(self, app: "Any", given: "dict[str, Any]") -> options_config.Config:
        """Read anew only if something has changed, because what is read may also be logged."""
        if self._last is None or self._last[:2] != (app, given):
            environ = {name: value for name, value in os.environ.items() if name not in OF_UVICORN}
            self._last = app, given, load(app, given, environ, app_needed=False)
        return copy(self._last[2])

    def configure_logging(self) -> None:
        """Applies `log_config`, `use_colors`, `log_level` and `access_log`, as uvicorn does when a Config is made."""
        logging.addLevelName(TRACE_LOG_LEVEL, "TRACE")
        if self.log_config is not None:
            if isinstance(self.log_config, dict) and self.use_colors is not None:
                formatters = self.log_config.get("formatters", {})
                for name in formatters.keys() & {"default", "access"}:
                    formatters[name]["use_colors"] = self.use_colors
            if self.log_config is not LOGGING_CONFIG and (isinstance(self.app, str) or "app_dir" in self._given):
                put_first(self._given.get("app_dir") or ".")
            apply(self.log_config)
        if self.log_level is not None:
            level = self.log_level
            level = LOG_LEVELS.get(level.lower()) if isinstance(level, str) else level
            for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi") if level is not None else ():
                logging.getLogger(name).setLevel(level)
        if not self.access_log:
            access = logging.getLogger(log.UVICORNS_REQUESTS)
            access.handlers, access.propagate = [], False

    # ---- what programs call ----

    def load_app(self) -> "Any":
        """The app, or its factory, imported if it is a name. SystemExit: it cannot be."""
        if not isinstance(self.app, str):
            return self.app
        return exits_on_failure(lambda: importer.find(self.options())[1])

    def load(self) -> None:
        """Imports the app, as `loaded_app`. SystemExit: it cannot be imported."""
        assert not self.loaded
        fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        self.encoded_headers = fields
        options = self.options()
        options.request_logger = None  # added when it is served
        self.loaded_app = exits_on_failure(lambda: importer.load(options))
        self.loaded = True

    def bind_socket(self) -> socket.socket:
        """A socket bound to the address, inheritable, which does not listen yet. SystemExit: it cannot be bound."""
        sock = socket.socket(fileno=os.dup(self.fd)) if self.fd is not None else self._bound()
        sock.set_inheritable(True)
        return sock

    def _bound(self) -> socket.socket:
        family, address = self._address()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family == socket.AF_UNIX:
                make_room(address)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            if family == socket.AF_UNIX:
                os.chmod(address, 0o666)
        except (OSError, StartError) as error:
            sock.close()
            fail(StartError(f"cannot bind {address!r}: {error}"))
        return sock

    def _address(self) -> "tuple[socket.AddressFamily, Any]":
        if self.uds is not None:
            return socket.AF_UNIX, self.uds
        family = socket.AF_INET6 if self.host and ":" in self.host else socket.AF_INET
        return family, (self.host or "", self.port)

    def get_loop_factory(self) -> "Callable[[], AbstractEventLoop] | None":
        """A function that makes the event loop; None with loop="none"."""
        if self.loop == "none":
            return None
        from ..serve.loops import factory, made_by

        name = self.options().loop
        if ":" not in name:
            return lambda: made_by(name)
        try:
            return factory(name)
        except ConfigError as error:
            fail(error, "Error loading custom loop setup function. ")

    def setup_event_loop(self) -> None:
        """Sets the policy of uvloop where it is asked for, as versions before 0.36 did."""
        if self.loop == "uvloop":
            import asyncio

            import uvloop

            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

    @property
    def asgi_version(self) -> str:
        return "2.0" if self.interface == "asgi2" else "3.0"

    @property
    def is_ssl(self) -> bool:
        return bool(self.ssl_keyfile or self.ssl_certfile or self.ssl_context_factory)

    @property
    def should_reload(self) -> bool:
        return isinstance(self.app, str) and bool(self.reload)

    @property
    def use_subprocess(self) -> bool:
        return bool(self.reload) or self.workers > 1


def is_option(name: str, value: "Any", single: bool) -> bool:
    """Whether a keyword is for sources.load."""
    if name in OWN or (value is None and name not in MEANINGFUL_NONE):
        return False
    if name == "loop" and not isinstance(value, str):
        return False  # a loop that exists already is the one in which serve() is called
    if name in ("http", "ws") and getattr(value, "__module__", "").startswith("uvicorn.protocols."):
        return False  # uvicorn's own class for what the core does
    return not (single and (name in OF_SEVERAL or name.startswith("reload")))


def fields(headers: "list[tuple[str, str]]") -> "dict[str, Any]":
    """The same as our options: a field Server takes the place of the server's own."""
    server = [value for name, value in headers if name.lower() == "server"]
    others = [(name, value) for name, value in headers if name.lower() != "server"]
    return {"header": others, **({"server_header": ", ".join(server)} if server else {})}


def exits_on_failure(load: "Callable[[], Any]") -> "Any":
    try:
        return load()
    except AppError as error:
        fail(error, "Error loading ASGI app. ")


def fail(error: Exception, what: str = "") -> "NoReturn":
    """Logs why it could not start, and raises SystemExit."""
    cause = error.__cause__ if isinstance(error, AppError) else None
    log.error(f"{what}{error}", cause and log.without_our_frames(cause))
    sys.exit(STARTUP_FAILURE)
