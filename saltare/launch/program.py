"""A server for programs: the configuration decides whether one process serves, or several."""

from ..errors import ConfigError
from ..process.signals import in_main_thread
from ..serve import server
from ..serve.stop import Stop
from .run import needs_master


class Program(server.Server):
    """A Server that runs a master where the configuration needs one."""

    _master = None  # while it runs

    def run(self) -> None:
        """Serves until stopped by `shutdown` or, in the main thread, by SIGINT or SIGTERM."""
        if not in_main_thread():  # a master would need it
            self.config.stay_alone()
        if needs_master(self.config):
            self._run_workers()
        else:
            super().run()

    def ask_to_stop(self, why: str, times: int) -> None:
        """Requests a stop, a graceful one for `times` 1, at once for 2, unless it has been. From any thread."""
        for _ in range(self._stop.request(why, times)):
            if self._master is not None:
                self._master.stop()

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
