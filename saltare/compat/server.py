"""`saltare.Server`: a server as an object of a program, with all that programs use of uvicorn's."""

import asyncio
import contextlib
import os
import signal
import threading
import time

from .. import log
from ..app.lifespan import resolve
from ..errors import AppError, ConfigError, StartError
from ..options import config as options_config
from ..options.sources import load
from ..process.signals import TOGETHER, in_main_thread
from ..serve.loops import check_none_runs, made_by
from ..serve.server import RUNNING
from .config import Config, fail
from .embedded import Embedded, stopping_after
from .state import LifespanState, ListeningServer, ServerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
    from types import FrameType
    from typing import Any

    from ..asgi import AppOrName

HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
TICK = 0.1  # seconds between two calls of an overridden `on_tick`
GRACEFUL, AT_ONCE = 1, 2

_asking = threading.RLock()  # signals may come while a thread asks


class Server:
    """Serves one app: `Server(app, **options)` or, as in uvicorn, `Server(Config(...))`. It can be run again.

    `run` blocks; `serve` serves in the running loop, and in the main thread it takes SIGINT and SIGTERM meanwhile.
    With a Config, a failed start ends as in uvicorn: it is logged, and raises SystemExit(STARTUP_FAILURE).
    """

    def __init__(self, app: "AppOrName | Config | None" = None, **options: "Any") -> None:
        if app is None and isinstance(options.get("config"), Config):
            app = options.pop("config")
        if isinstance(app, Config):
            if options:
                raise ConfigError(f"{next(iter(options))}: got beside a Config; accepted: Server(Config(app, ...))")
            self.config: Any = app
        else:
            self.config = load(app, options)
        self.started = False  # accepting; with a Config it stays true, as in uvicorn
        self.graceful = True  # nothing was cancelled at the last stop
        self.after_start: Callable[[], object] | None = None  # called once it accepts
        self.server_state = ServerState()
        self.lifespan: Any = LifespanState()
        self.servers: list[Any] = []
        self._engine: Embedded | None = None  # while it runs
        self._engine_task: asyncio.Task[None] | None = None  # in a loop of the program
        self._last_url: str | None = None
        self._stop_level = 0  # what was asked for: GRACEFUL or AT_ONCE
        self._shutdowns = 0  # number of calls of `shutdown`
        self._shutdown_follows = False  # the next call of it ends `serve`, and asks for nothing
        self._has_exited = False
        self._raises_again = True  # captured signals, at the end of `serve`
        self._captured_signals: list[int] = []
        self._first_signal_at = 0.0
        self._stop_reason: str | None = None  # for the log, where it is a signal
        self._former_handlers: dict[int, Any] = {}

    def __repr__(self) -> str:
        return f"<saltare.Server {(self._engine and self._engine.url) or 'not running'}>"

    @property
    def url(self) -> "str | None":
        """Of the first listener, while listening."""
        return self._engine.url if self._engine else self._last_url

    # ---- asking for the end, from any thread or handler ----

    @property
    def should_exit(self) -> bool:
        """Whether a stop was asked for. Setting it true stops gracefully, and at once ends the wait of the loop."""
        engine = self._engine
        return self._stop_level > 0 or self._has_exited or (engine is not None and engine.stopping())

    @should_exit.setter
    def should_exit(self, wanted: bool) -> None:
        self._set_stop(wanted, GRACEFUL, self._stop_reason or "should_exit was set")

    @property
    def force_exit(self) -> bool:
        """Whether requests in progress are to be cancelled; setting it true does so."""
        return self._stop_level >= AT_ONCE

    @force_exit.setter
    def force_exit(self, wanted: bool) -> None:
        self._set_stop(wanted, AT_ONCE, "force_exit was set")

    def shutdown(self, sockets: "Sequence[socket.socket] | None" = None) -> "Awaitable[None]":
        """Stops gracefully; a second call cancels requests in progress. Awaiting the result waits for the end."""
        ending = Ending(self, self._engine, self._engine_task)
        follows, self._shutdown_follows = self._shutdown_follows, False
        if not follows:
            self._shutdowns += 1
        if not follows or self._engine is not None:
            self._ask("shutdown() was called", AT_ONCE if self._shutdowns > 1 else GRACEFUL)
        return ending

    def _set_stop(self, wanted, level, why):
        if wanted:
            self._ask(why, level)
        else:
            self._has_exited = False
            self._stop_level = min(self._stop_level, level - 1)

    def _ask(self, why, level):
        with _asking:
            self._stop_level = max(self._stop_level, level)
            if self._engine is not None:
                self._engine.ask_to_stop(why, self._stop_level)

    # ---- with a loop of its own ----

    def run(self, sockets: "Sequence[socket.socket] | None" = None) -> None:
        """Serves until stopped: by `shutdown`, `should_exit` or, in the main thread, by SIGINT or SIGTERM."""
        check_none_runs()
        if self._overrides(SERVING):
            self._run_serve(sockets)
            return
        engine = self._begin(sockets)
        with self._ends_as_expected():
            try:
                engine.run()
            finally:
                self._end(engine)

    def _run_serve(self, sockets):
        """`serve`, or a part of it, is the program's."""
        loop = made_by(self._options().loop)
        self._raises_again = False
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self.serve(sockets=sockets))
        finally:
            self._raises_again = True
            try:
                loop.run_until_complete(cancel_others())
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                asyncio.set_event_loop(None)
                loop.close()

    # ---- as a guest of a loop ----

    async def serve(self, sockets: "Sequence[socket.socket] | None" = None) -> None:
        """Serves in the running loop. Cancelling it stops the server at once."""
        with self.capture_signals():
            await self._serve(sockets)

    async def _serve(self, sockets=None):
        try:
            await self.startup(sockets=sockets)
            task = self._engine_task
            if task is None:
                return
            await self.main_loop()
            self._shutdown_follows = True
            await self.shutdown(sockets=sockets)
            if task.done():
                self._take_result(task)
        except (asyncio.CancelledError, Exception):
            await self._abandon()
            raise

    async def startup(self, sockets: "Sequence[socket.socket] | None" = None) -> None:
        """Starts the app and listens. The server then runs in a task of this loop."""
        engine = self._begin(sockets)
        started = asyncio.get_running_loop().create_future()

        def on_start():
            self._on_start()
            resolve(started)

        engine.after_start = on_start
        task = self._engine_task = asyncio.ensure_future(self._run_engine(engine))
        try:
            await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._abandon()
            raise
        if task.done():
            self._take_result(task)

    async def main_loop(self) -> None:
        """Waits until a stop is asked for."""
        if self._overrides(("on_tick",)):
            await self._tick()
            return
        engine, task = self._engine, self._engine_task
        if engine is not None and task is not None:
            await asyncio.wait([task, engine.stop_requested], return_when=asyncio.FIRST_COMPLETED)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop; called ten times a second where a program overrides it."""
        return self.should_exit or self._engine is None

    async def _tick(self):
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            await asyncio.sleep(TICK)

    async def _run_engine(self, engine):
        try:
            await engine.serve()
        finally:
            self._end(engine)

    async def _abandon(self):
        task = self._engine_task
        if task is not None and not task.done():
            task.cancel()
            while not task.done():
                with contextlib.suppress(asyncio.CancelledError):  # anyio repeats a cancel until it is obeyed
                    await asyncio.wait([task])
            if self._engine is not None:  # cancelled before its first step
                self._end(self._engine)

    def _take_result(self, task):
        if not task.cancelled():
            with self._ends_as_expected():
                task.result()

    # ---- signals ----

    def install_signal_handlers(self) -> None:
        """Makes `handle_exit` the handler of SIGINT and SIGTERM; a program that overrides it handles them itself."""
        for number in HANDLED_SIGNALS:
            self._former_handlers[number] = signal.signal(number, self.handle_exit)

    @contextlib.contextmanager
    def capture_signals(self) -> "Iterator[None]":
        """In the main thread, handles signals meanwhile. Those that came are raised again at the end."""
        if not in_main_thread():
            yield
            return
        try:
            self.install_signal_handlers()
            yield
        finally:
            while self._former_handlers:
                number, handler = self._former_handlers.popitem()
                if handler is not None:  # None: not set from Python
                    signal.signal(number, handler)
        captured, self._captured_signals = self._captured_signals, []
        while captured and self._raises_again:
            signal.raise_signal(captured.pop())

    def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
        """Stops gracefully; at a second signal, later than TOGETHER, at once."""
        now = time.monotonic()
        if not self._captured_signals:
            self._first_signal_at = now
        self._stop_reason = signal.Signals(sig).name
        self._captured_signals.append(sig)
        if now - self._first_signal_at > TOGETHER:
            self.force_exit = True
        else:
            self.should_exit = True

    def wants_signals(self) -> bool:
        return not self._overrides(("install_signal_handlers",))

    # ---- one run ----

    def _options(self) -> options_config.Config:
        if not isinstance(self.config, Config):
            return self.config
        if not self.config.loaded:
            self.config.load()
        options = self.config.options()
        if most := self.config.limit_max_requests:
            most += int.from_bytes(os.urandom(8), "little") % (self.config.limit_max_requests_jitter + 1)
            options.app = stopping_after(options.app, most, self._limit_reached)
        return options

    def _limit_reached(self):
        self._ask("limit_max_requests is reached", GRACEFUL)

    def _begin(self, sockets):
        if self._engine is not None:
            raise RuntimeError(RUNNING)
        options = self._options()
        if sockets is None and isinstance(self.config, Config) and options.fd is not None:
            sockets = [self.config.bind_socket()]  # which need not listen yet
        engine = Embedded(self, options, sockets)
        engine.after_start = self._on_start
        with _asking:
            self.started = self._has_exited = False
            self._engine, self._stop_reason = engine, None
            self._captured_signals.clear()
            if self._stop_level:
                engine.ask_to_stop("asked for before the start", self._stop_level)
        self.lifespan = LifespanState()
        self.server_state.engine = self.lifespan.engine = engine
        return engine

    def _on_start(self):
        engine = self._engine
        self.started = True
        self.servers = [ListeningServer(one) for one in engine.listening]
        if isinstance(self.config, Config):
            where = engine.url.replace("unix:", "unix socket ", 1)
            log.info(f"Uvicorn running on {where} (Press CTRL+C to quit)")  # for tools that wait for this line
        if self.after_start is not None:
            self.after_start()

    def draining(self) -> None:
        """Called once it no longer accepts."""
        self.started = isinstance(self.config, Config)

    def _end(self, engine):
        with _asking:
            self._engine = self._engine_task = None
            self._has_exited, self._stop_level, self._shutdowns = True, 0, 0
        self.graceful, self._last_url = engine.graceful, engine.url
        if self.started:
            self.draining()
        self.server_state.engine = None
        engine.ended.set()

    @contextlib.contextmanager
    def _ends_as_expected(self):
        """With a Config, a failed start ends as in uvicorn."""
        try:
            yield
        except (AppError, StartError) as error:
            if not isinstance(self.config, Config):
                raise
            self.lifespan.failed()
            fail(error)

    @property
    def notification(self) -> "tuple[Callable[[], Awaitable[None]], float] | None":
        """What uvicorn calls `callback_notify`, and how often in seconds."""
        callback = getattr(self.config, "callback_notify", None)
        return callback and (callback, self.config.timeout_notify)

    def _overrides(self, names):
        return any(name in vars(self) or getattr(type(self), name) is not ORIGINAL[name] for name in names)


SERVING = ("serve", "_serve", "startup", "main_loop", "on_tick", "shutdown", "capture_signals")
ORIGINAL = {name: vars(Server)[name] for name in (*SERVING, "install_signal_handlers")}


class Ending:
    """What `shutdown` returns: awaiting it, in any loop, waits until the server has ended."""

    def __init__(self, server: Server, engine: "Embedded | None", task: "asyncio.Task[None] | None") -> None:
        self._server, self._engine, self._task = server, engine, task

    def __await__(self) -> "Generator[Any, None, None]":
        return self._wait().__await__()

    async def _wait(self):
        loop = asyncio.get_running_loop()
        if self._task is not None and self._task.get_loop() is loop:
            await asyncio.wait([self._task])
            self._server._take_result(self._task)
        elif self._engine is not None:
            await loop.run_in_executor(None, self._engine.ended.wait)


async def cancel_others():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def running(app: "AppOrName", **options: "Any") -> "Iterator[Server]":
    """Serves `app` in a thread while the block runs; yields the Server once it accepts.

    An exception that ends the server is raised here.
    """
    from ..serve.in_thread import in_thread

    one = Server(app, **options)
    with in_thread(one):
        yield one
