"""The app's lifespan: start-up before the first request, shutdown after the last (ASGI lifespan 2.0)."""

import gc
from asyncio import CancelledError, wait

from .. import log
from ..errors import AppError

PATIENCE = 0.1  # seconds that the app's shutdown may take before garbage is collected, which a large heap makes slow


class Lifespan:
    """`state` is the lifespan scope's state, filled by the app; each request gets a shallow copy."""

    shutdown_failed = False  # the app has reported it

    def __init__(self, app, mode, loop):
        self._app, self._mode, self._loop = app, mode, loop
        self.state = {}
        self._task = None
        self._messages = []
        self._took_part = False  # the app has received lifespan.startup
        self._receiver = None  # a future, while the app waits
        self._started, self._stopped = loop.create_future(), loop.create_future()

    async def startup(self):
        """AppError when the app reports a failure, or (mode "on") does not support lifespan."""
        if self._mode == "off":
            return
        self._task = self._loop.create_task(self._run())
        self._post({"type": "lifespan.startup"})
        try:
            await self._started
        except BaseException:
            self._task.cancel()
            await wait([self._task])
            raise

    async def shutdown(self):
        """Sends the app lifespan.shutdown and waits; logs errors."""
        if self._task is None or self._task.done():
            return
        self._post({"type": "lifespan.shutdown"})
        # It may wait for something that a request has left to the collector, such as a connection of a pool.
        collection = self._loop.call_later(PATIENCE, collect)
        try:
            await self._stopped
        finally:
            collection.cancel()
            self._task.cancel()
            await wait([self._task])

    def _post(self, message):
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(message)
        else:
            self._messages.append(message)

    async def _receive(self):
        self._took_part = True  # the start-up was posted before the app began
        if self._messages:
            return self._messages.pop(0)
        self._receiver = self._loop.create_future()
        try:
            return await self._receiver
        finally:
            self._receiver = None

    async def _send(self, message):
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            resolve(self._started)
        elif kind == "lifespan.startup.failed":
            text = message.get("message", "").rstrip()
            resolve(self._started, AppError(f"the app's start-up failed{': ' + text if text else ''}"))
        elif kind == "lifespan.shutdown.complete":
            resolve(self._stopped)
        elif kind == "lifespan.shutdown.failed":
            self.shutdown_failed = True
            log.error(f"the app's shutdown failed: {message.get('message', '')}")
            resolve(self._stopped)
        else:
            raise ValueError(f"send(): unknown message type {kind!r} for lifespan")

    async def _run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        error = None
        try:
            await self._app(scope, self._receive, self._send)
        except CancelledError:
            raise
        except (SystemExit, KeyboardInterrupt):
            resolve(self._stopped)
            raise  # through the loop to the server, which stops
        except BaseException as raised:
            error = raised
        finally:
            # The app is needed only while its lifespan runs.
            self._app = None
        if not self._started.done():
            self._unsupported(error)
        elif error is not None and not self._failed():
            log.error("exception in the app's lifespan", error)
        resolve(self._stopped)

    def _failed(self):
        """Whether the app reported a failed start-up; then its exception is the same failure."""
        return self._started.exception() is not None

    def _unsupported(self, error):
        if self._mode == "auto":
            self._serve_without(error)
            resolve(self._started)
            return
        failure = AppError("the app does not take part in lifespan, and --lifespan is on")
        failure.__cause__ = error
        resolve(self._started, failure)

    def _serve_without(self, error):
        """An app without lifespan raises before it receives; a later exception is a failed start-up."""
        if error is not None and self._took_part:
            log.warning(
                "the app raised during lifespan.startup and is served nevertheless; --lifespan on makes that fatal",
                error,
            )
            return
        why = f"it raised {type(error).__name__}: {error}" if error else "it returned"
        log.debug(f"the app is served without lifespan: {why}")


def resolve(future, error=None):
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def collect():
    if gc.isenabled():
        gc.collect()
