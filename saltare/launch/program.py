"""The API for programs: `run`, `Server` and `running`. The options decide whether one process serves, or several."""

import contextlib

from ..errors import ConfigError
from ..options.sources import load
from ..serve import server
from ..serve.stop import Stop
from .run import needs_master

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..asgi import AppOrName


class Server(server.Server):
    """Serves one app. It can be run again after it has ended, but not twice at once."""

    def __init__(self, app: "AppOrName", **options: "Any") -> None:
        super().__init__(load(app, options))
        self._master = None  # while it runs, where there are workers

    def run(self) -> None:
        """Serves until stopped by `shutdown` or, in the main thread, by SIGINT or SIGTERM."""
        if needs_master(self.config):
            self._run_workers()
        else:
            super().run()

    def shutdown(self) -> None:
        """Stops gracefully; a second call cancels requests in progress. May be called from any thread."""
        super().shutdown()
        if self._master is not None:
            self._master.stop()

    async def serve(self) -> None:
        """Serves in the running loop, without signal handlers. Cancelling it stops the server at once."""
        self.config.stay_alone()
        if self.config.supervised():
            raise ConfigError("serve() runs in one process: options that need a master are for run()")
        await super().serve()

    def _run_workers(self):
        from ..prefork.master import Master

        if self._master is not None:
            raise RuntimeError(server.RUNNING)
        self._master = Master(self.config)
        self._master.after_start = self._workers_serve
        try:
            self._master.run()
        finally:
            self.graceful = self._master.graceful
            self._master, self.started, self._stop = None, False, Stop()

    def _workers_serve(self):
        self.started, self.url = True, self._master.url
        if self.after_start is not None:
            self.after_start()


@contextlib.contextmanager
def running(app: "AppOrName", **options: "Any") -> "Iterator[Server]":
    """Serves `app` in a thread while the block runs; yields the Server once it accepts.

    An exception that ends the server is raised here.
    """
    from ..serve.in_thread import in_thread

    one = Server(app, **options)
    one.config.stay_alone()
    with in_thread(one):
        yield one
