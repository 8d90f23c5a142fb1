"""The server behind a `saltare.Server`, for one run of it."""

import asyncio
import threading

from ..errors import ConfigError
from ..launch.program import Program
from ..listen.passed import of_program
from ..process.signals import in_main_thread
from ..serve.signals import SHOWN, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

    from ..options.config import Config


class Embedded(Program):
    """Listens on the program's sockets, if any, and passes on to the program what happens.

    `embedding` is the saltare.Server.
    """

    def __init__(self, embedding: "Any", config: "Config", sockets: "Sequence[socket.socket] | None") -> None:
        super().__init__(config)
        if sockets is not None:
            config.stay_alone()
        if sockets is not None and config.supervised():
            raise ConfigError("sockets: got a list, but options ask for workers, which listen on host and port, or fd")
        self.starter: Any = None
        self.ended = threading.Event()
        self._embedding, self._sockets = embedding, sockets

    @property
    def lifespan(self) -> "Any":
        return self._lifespan

    @property
    def listening(self) -> "list[socket.socket]":
        return [listener.socket for listener in self._listeners]

    def run(self) -> None:
        """Serves until stopped. With the program's sockets no other program can take over at SIGHUP."""
        if self._sockets is None:
            super().run()
        else:
            self.run_here()

    @property
    def stop_requested(self) -> "asyncio.Future[None]":
        """In the loop that it runs in, while it runs."""
        return self._stop.requested

    def _listen(self):
        if self._sockets is None:
            super()._listen()
        else:
            self._listen_at(of_program(self.config, self._sockets))
            if self.config.admin_bind is not None:
                from ..listen.open import open_admin

                self._listeners += open_admin(self.config)

    def _end(self):
        super()._end()
        self.starter = None
        for one in self._sockets or ():
            one.close()

    def _signals(self, loop):
        """SIGINT and SIGTERM call the program's `handle_exit`, unless it handles signals itself."""
        if not in_main_thread() or not self._embedding.wants_signals():
            return Signals(loop, {})
        signals = super()._signals(loop)
        signals.call(self._embedding.handle_exit, SHOWN)
        return signals

    async def _until_stopped(self, core, starter):
        self.starter = starter
        task = self._loop.create_task(self._notify()) if self._embedding.notification else None
        try:
            await super()._until_stopped(core, starter)
        finally:
            if task is not None:
                task.cancel()
            self._embedding.server_state.keep_count()

    async def _notify(self):
        callback, seconds = self._embedding.notification
        while True:
            await callback()
            await asyncio.sleep(seconds)

    async def _drain(self, core, starter):
        self._embedding.draining()
        await super()._drain(core, starter)


def stopping_after(app, requests, stop):
    """The app, which calls `stop` when it gets that many-th request."""
    left = requests

    async def counted(scope, receive, send):
        nonlocal left
        if scope["type"] != "lifespan":
            left -= 1
            if left == 0:
                stop()
        await app(scope, receive, send)

    return counted
