"""Workers of gunicorn that serve with saltare: `saltare.workers` has their names.

The arbiter makes a worker, forks, and calls `init_process` in the child. Go does not survive a fork, so nothing here
loads the core before `run`.
"""

import gc
import logging
import signal
import sys
from typing import ClassVar

from .. import _memory, log
from ..app import importer
from ..errors import AppError, ConfigError, StartError
from ..memory.park import prepare
from ..memory.shared_code import SharedCode
from ..memory.start_up import forget
from ..options.config import RELOAD_PATIENCE
from ..process.ending import flush_files
from ..serve.signals import reopen_log
from .config import Config, fail
from .gunicorn_app import AccessLog, as_asgi
from .gunicorn_arbiter import share_heap, take_slot
from .gunicorn_server import WorkerServer

try:
    from gunicorn.errors import HaltServer
    from gunicorn.workers.base import Worker
except ImportError as error:
    raise ImportError(
        f"saltare.workers has worker classes for gunicorn, which cannot be imported ({error}): pip install gunicorn; "
        "or without gunicorn: saltare main:app --workers 4"
    ) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

CONFIG_ERROR = 1  # gunicorn's exit code for settings that it does not accept

# Settings that count where they differ from gunicorn's default, which uvicorn's worker does not apply either.
IF_GIVEN = (
    "asgi_lifespan",
    "asgi_loop",
    "ca_certs",
    "cert_reqs",
    "certfile",
    "ciphers",
    "keyfile",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "protocol",
    "proxy_protocol",
    "root_path",
    "websocket_max_message_size",
    "worker_connections",
)
UNIX_PEERS = "unix:"  # gunicorn believes them always
SHUTDOWN_SHARE = 0.25  # of graceful_timeout, for the app's shutdown: then the arbiter kills the worker
MOST_FOR_SHUTDOWN = 1.0  # seconds


class SaltareWorker(Worker):
    """A worker that serves an ASGI app. Subclasses may set CONFIG_KWARGS, in names of uvicorn's Config or of ours."""

    CONFIG_KWARGS: ClassVar["dict[str, Any]"] = {"loop": "auto", "http": "auto"}

    @classmethod
    def setup(cls) -> None:
        """In the arbiter, before it imports the app with --preload: workers can share what it allocates from now on."""
        prepare()

    def __init__(self, *args: "Any", **kwargs: "Any") -> None:
        """In the arbiter. HaltServer: settings are not accepted."""
        super().__init__(*args, **kwargs)
        self._server: WorkerServer | None = None
        connect_uvicorns_loggers(self.log)
        try:
            self.config = WorkerConfig(self)
        except ConfigError as error:
            raise HaltServer(f"saltare: {error}", CONFIG_ERROR) from None
        share_heap(self.config.shares_heap, self.config.options())
        self.counters, self.slot = take_slot(self)

    def init_process(self) -> None:
        """In the child, which only serves."""
        options = self.config.options()
        if options.uses("malloc-settings"):
            _memory.configure()
        if options.uses("collection"):
            gc.freeze()  # collections do not write to what is shared with the arbiter
        super().init_process()

    def init_signals(self) -> None:
        """Also handles signals that arrived after the fork while the arbiter's handlers were still set."""
        arbiter = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        super().init_signals()
        came = taken_from(getattr(arbiter, "SIG_QUEUE", ()))
        if signal.SIGTERM in came:
            self.alive = False
        if came.intersection((signal.SIGINT, signal.SIGQUIT)):
            self.handle_quit(signal.SIGQUIT, None)

    def load_wsgi(self) -> None:
        options = self.config.options()
        with SharedCode(options.uses("shared-code")):
            super().load_wsgi()
        if options.uses("import-caches"):
            forget()

    def run(self) -> None:
        """Serves until stopped. SystemExit: the app does not start, or the arbiter has aborted the worker."""
        try:
            if self.alive:  # no SIGTERM has come during the import
                self._server = WorkerServer(self._options(), self)
                self._server.run_here()
        except (AppError, ConfigError, StartError) as error:
            fail(error)  # with Arbiter.WORKER_BOOT_ERROR
        finally:
            flush_files()  # the interpreter's end does not find frozen ones
        if self.aborted:
            sys.exit(1)  # also if the app has caught the SystemExit of handle_abort

    def handle_usr1(self, sig: int, frame: "FrameType | None") -> None:
        """SIGUSR1: files of logs were renamed."""
        super().handle_usr1(sig, frame)
        if self._server is not None:
            reopen_log(self._server)

    def handle_abort(self, sig: int, frame: "FrameType | None") -> None:
        """SIGABRT: the loop has not turned for `timeout` seconds. The log shows where the SystemExit was raised."""
        self.aborted = True
        if self._server is not None:
            self._server.stop_at_once("SIGABRT")
        super().handle_abort(sig, frame)

    def _options(self):
        options = self.config.options()
        if self.config.parks:
            log.warning("memory is not parked in workers of gunicorn: start saltare itself for --park-memory")
        options.app = as_asgi(self.wsgi)
        if not options.factory and importer.is_factory(options.app):
            log.warning("the app takes no arguments, so it is called as a factory; module:name() says so")
            options.factory = True
        app = importer.load(options)
        if self.config.access_log and logs_requests(self.log, self.cfg):
            app = AccessLog(app, self.log)
        options.app = app
        return options


UvicornWorker = SaltareWorker


class UvicornH11Worker(SaltareWorker):
    CONFIG_KWARGS: ClassVar["dict[str, Any]"] = {"loop": "asyncio", "http": "h11"}


class WorkerConfig(Config):
    """The Config of a worker: gunicorn's settings, and CONFIG_KWARGS, which have precedence."""

    def __init__(self, worker: SaltareWorker) -> None:
        self._error_logger = getattr(getattr(worker.log, "error_log", None), "name", "gunicorn.error")
        self._preloads = worker.cfg.preload_app
        super().__init__(None, **keywords(worker))
        self.shares_heap = self._preloads and self.options().shares_heap()

    def options(self, single: bool = True) -> "Any":
        options = super().options(single)
        options.server_logger = self._error_logger
        options.request_logger = None  # the worker itself wraps the app
        self.parks, options.park_memory = options.park_memory is not None, None
        if self._preloads:  # to empty what is shared would copy its pages
            options.memory_without = (*options.memory_without, "import-caches")
        return options


def keywords(worker):
    """The keywords of the Config. CONFIG_KWARGS override a setting of gunicorn that sets the same option."""
    theirs = {name: value for name, value in worker.CONFIG_KWARGS.items() if value != "auto"}
    taken = {ours for name, value in theirs.items() for ours in options_of(name, value)}
    settings = settings_of(worker)
    return {
        "log_config": None,
        **{name: value for name, value in settings.items() if not taken.intersection(options_of(name, value))},
        **theirs,
    }


def settings_of(worker):
    cfg = worker.cfg
    settings = {
        "backlog": cfg.backlog,
        "forwarded_allow_ips": [*cfg.forwarded_allow_ips, UNIX_PEERS],
        "secure_scheme_headers": cfg.secure_scheme_headers,
        "proxy_protocol_from": [*cfg.proxy_allow_ips, UNIX_PEERS],
        "timeout_keep_alive": cfg.keepalive,
        "timeout_graceful_shutdown": patience(cfg),
    }
    if cfg.max_requests > 0:
        settings["limit_max_requests"] = worker.max_requests  # with its jitter
    for name in IF_GIVEN:
        if name in cfg.settings and is_given(cfg, name):
            settings[name] = cfg.settings[name].get()
    return settings


def is_given(cfg, name):
    return cfg.settings[name].get() != cfg.settings[name].default


def patience(cfg):
    """Seconds that requests in progress get after SIGTERM."""
    most = cfg.graceful_timeout
    if cfg.reload and not is_given(cfg, "graceful_timeout"):
        return RELOAD_PATIENCE
    return most - min(most * SHUTDOWN_SHARE, MOST_FOR_SHUTDOWN)


def options_of(name, value):
    """The names of our options that a keyword sets; its own name where the Config itself takes it."""
    from ..options.foreign import BY_NAME, Refused

    row = BY_NAME.get(name)
    try:
        return {name, *row.turn(value)} if row is not None else {name}
    except Refused:
        return {name}


def taken_from(queue):
    """The signals in an arbiter's queue, which is a list before gunicorn 25."""
    if isinstance(queue, (list, tuple)):
        return set(queue)
    return {queue.get_nowait() for _ in range(queue.qsize())}


def connect_uvicorns_loggers(theirs):
    """Apps also log to uvicorn's loggers, and find gunicorn's handlers there, as with uvicorn's worker."""
    for name, source in (("uvicorn.error", "error_log"), ("uvicorn.access", "access_log")):
        logger, model = logging.getLogger(name), getattr(theirs, source, None)
        if model is not None:
            logger.handlers, logger.propagate = model.handlers, False
            logger.setLevel(model.level)


def logs_requests(logger, cfg):
    """Whether gunicorn's logger does anything with a request."""
    enabled = getattr(logger, "access_log_enabled", None)  # gunicorn 26 and later
    if enabled is None:
        enabled = cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or cfg.syslog
    return bool(enabled or cfg.statsd_host)
