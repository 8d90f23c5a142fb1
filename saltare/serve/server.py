"""A server: one app, served by one process, from the configuration to the last response.

`Server.run` owns a thread and a loop; `Server.serve` is a guest of a running loop. Both call `_life`.
"""

import asyncio
import os
import signal
import time
from functools import partial

from .. import log
from ..app.failures import failed, incomplete
from ..app.lifespan import Lifespan, resolve
from ..process import forks
from ..process.ending import deadline
from ..process.signals import STOPPING, in_main_thread
from ..restart.origin import is_successor, origin
from .core import app_of, attach, core_options, is_guest, module, new_core, prepare, release, set_quiet_work
from .drain import Drained, cancel_all, delayed, executor_ended, is_busy
from .signals import Signals, log_actions
from .stop import Stop
from .visible import Visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options.config import Config

RUNNING = "this server is running already"


class Server:
    """Serves one app. It can be run again after it has ended, but not twice at once."""

    def __init__(self, config: "Config") -> None:
        self.config = config
        self.number = 0  # of a worker, from 1
        self.started = False  # accepting
        self.graceful = True  # nothing was cancelled at the last stop
        self.url: str | None = None  # of the first listener, while listening
        self.after_start: Callable[[], object] | None = None  # called once it accepts
        self.app_is_loaded = False  # the caller has loaded it
        self.cleanup = None  # a Cleanup, where the process is the server's own
        self.why_here = "a program has started the server"  # otherwise
        self.core = self._loop = self._lifespan = None
        self._origin = None  # how the process was started, while it serves in the main thread and without a master
        self._renewal = None  # after a SIGHUP
        self._inherited = None  # the state that the previous program left
        self._stopped = False  # the last run was ended by `shutdown`
        self._listeners = []
        self._stop = Stop()
        self._uncancelled = set()  # tasks still running although cancelled
        self._raised = None  # an exception that came through the loop, such as SystemExit in a task
        self.notifier = None  # reports to systemd, if it is asked for
        self.until = 0.0  # after a run: the deadline for threads of the app

    def __repr__(self) -> str:
        return f"<saltare.Server {self.url or 'not running'}>"

    def shutdown(self) -> None:
        """Stops gracefully; a second call cancels requests in progress. May be called from any thread."""
        self._stop.request("shutdown() was called")

    # ---- with a loop of its own ----

    def run(self) -> None:
        """Serves until stopped by `shutdown` or, in the main thread, by SIGINT or SIGTERM."""
        if in_main_thread():
            self._run_alone()
        else:
            self.run_here()

    def _run_alone(self):
        """In the main thread, which handles SIGHUP: the process may exec a new program, or be a successor itself."""
        self._origin = origin()
        if self.config.has_identity():
            prepare(self.config)  # before a trial begins
        if is_successor():
            self._take_over()
        try:
            while self._run_once():
                pass
        finally:
            self._origin = None

    def _run_once(self):
        """Returns whether to serve again, because the successor could not be started."""
        try:
            self.run_here()
        finally:
            renewal, self._renewal = self._renewal, None
            kept = renewal and renewal.follow(wanted=not self._stopped, until=self.until)
            if not kept:
                release(self.config)
        self._inherited = kept and {"listeners": kept}
        return bool(kept)

    def _take_over(self):
        from ..restart.handover import end_trial, is_trial, received

        self._inherited = received(self.config)
        if is_trial():
            self._begin()
            end_trial()

    def _hang_up(self):
        """SIGHUP."""
        if self._renewal is None:
            try:
                from ..restart.renewal import Renewal
            except (OSError, ImportError) as error:  # no descriptor left, for example, or the package being replaced
                log.error(f"SIGHUP: cannot try the new code: {error}; the server keeps serving the old code")
                return
            self._renewal = Renewal(self, self._origin)
        self._renewal.request(asyncio.get_running_loop())

    def run_here(self) -> None:
        """`run` without SIGHUP: no successor replaces the process."""
        self._begin()
        core = loop = None
        try:
            self._listen()
            guest = is_guest(self.config)
            core = self._new_core(guest)
            loop = self._new_loop(core, guest)
            self._run_in(loop, core, guest)
        finally:
            # The loop's selector needs the core, so the loop is closed first.
            if loop is not None:
                asyncio.set_event_loop(None)
                loop.close()
            if core is not None:
                core.close()
            self._end()
        self._raise_what_ended_it()

    def _new_loop(self, core, guest):
        if guest:
            from .loops import made_by

            return made_by(self.config.loop)
        from .selector import new_loop

        return new_loop(core)

    def _run_in(self, loop, core, guest):
        asyncio.set_event_loop(loop)
        with self._signals(loop) as signals:
            try:
                self._complete(loop, self._life(core, guest))
            finally:
                if self._renewal is not None:
                    self._renewal.give_up(signals)
                self._complete(loop, self._close(loop))

    def _complete(self, loop, coroutine):
        """Runs the loop until the coroutine has ended. An exception that comes through the loop meanwhile stops the
        server gracefully; `run` raises it at the end.
        """
        task = loop.create_task(coroutine)
        while True:
            try:
                return loop.run_until_complete(task)
            except BaseException as error:
                if task.cancelled():
                    raise RuntimeError(
                        "the server's own task was cancelled, as by an app that cancels all tasks"
                    ) from None
                if task.done() and task.exception() is error:
                    raise
                self._stop_by(loop, error)

    def _stop_by(self, loop, error):
        asked = isinstance(error, (SystemExit, KeyboardInterrupt))
        if self._raised is not None and not asked:
            raise error  # the loop is broken
        from . import raised

        raised.log_stop(loop, error)
        counts = self._raised is None or isinstance(error, KeyboardInterrupt)
        self._raised = self._raised or error
        self._stop.raised(counts)

    def _raise_what_ended_it(self):
        error, self._raised = self._raised, None
        if error is not None:
            raise error

    async def _close(self, loop):
        """Ends the remaining tasks of our loop, as asyncio.run does; its executor's threads have until `self.until`."""
        self._stop.close()
        await self._cancel(asyncio.all_tasks(loop) - {asyncio.current_task()})
        await loop.shutdown_asyncgens()
        self.until = deadline(self.config.shutdown_timeout, self._stop.began or time.monotonic(), self.graceful)
        if self.graceful:
            if not await executor_ended(loop, self.until, self._stop.at_once, self._why_cut):
                self.graceful, self.until = False, 0.0

    def _signals(self, loop):
        actions = {number: partial(self._stop.signal, number.name, self.shutdown) for number in STOPPING}
        if self._origin is not None:
            actions[signal.SIGHUP] = self._hang_up
        return Signals(
            loop, {**actions, **log_actions(self)}, lambda formers: Visible(self.stopping, formers).handle_exit
        )

    def hand_over(self):
        """Stops for a successor; returns the listening sockets' descriptors, kept open for it, by key.

        OSError: they cannot be kept, and nothing has changed.
        """
        from ..listen.listener import handed_over

        kept = handed_over(self._listeners)
        self._stop.why = self._stop.why or "SIGHUP, the new code takes over"
        resolve(self._stop.requested)
        return kept

    def stopping(self):
        """Whether a stop has begun."""
        return self._stop.requested is not None and self._stop.requested.done()

    # ---- as a guest ----

    async def serve(self) -> None:
        """Serves in the running loop, without signal handlers. Cancelling it stops the server at once."""
        self._begin()
        core = None
        try:
            self._listen()
            core = self._new_core(guest=True)
            await self._life(core, guest=True)
        finally:
            if core is not None:
                core.close()
            self._end()

    # ---- one life ----

    def _begin(self):
        if self._loop is not None or self._listeners:
            raise RuntimeError(RUNNING)
        try:
            prepare(self.config)
            if not self.app_is_loaded:
                from ..app.importer import load

                load(self.config)
        except BaseException:
            release(self.config)
            raise

    def _listen(self):
        from ..listen.open import open_or_keep

        inherited, self._inherited = self._inherited or {}, None
        self._listen_at(open_or_keep(self.config, inherited.get("listeners")))

    def _listen_at(self, listeners):
        self._listeners = listeners
        for listener in listeners:
            forks.call_in_child(listener.close)
        self.url = listeners[0].url
        self.graceful = True

    def _end(self):
        for listener in self._listeners:
            forks.forget_call(listener.close)
            listener.close()
        self._listeners = []
        self.started = False
        self.core = self._loop = None
        self._stopped, self._stop = self._stop.was_requested(), Stop()
        self._uncancelled = set()
        self.notifier = self.notifier and self.notifier.close()
        if self._renewal is None:  # otherwise another program takes the place of this one
            release(self.config)

    async def _life(self, core, guest):
        self.core, loop = core, asyncio.get_running_loop()
        self._loop = loop
        self._stop.attach(loop)
        driver = None
        if guest:
            from .guest import Guest

            driver = Guest(loop, core)
        starter = module(self.config).Starter(app_of(self), loop, not guest, failed, incomplete)
        try:
            await self._until_stopped(core, starter)
        finally:
            await self._cancel(starter.tasks.values())
            starter.detach()
            if driver is not None:
                driver.close()

    async def _until_stopped(self, core, starter):
        lifespan = self._lifespan = Lifespan(self.config.app, self.config.lifespan, self._loop)
        if not await self._or_stop(lifespan.startup()):
            return
        try:
            attach(core, starter, self._loop, lifespan.state)
            set_quiet_work(self, core, starter)
            if self.config.startup_request:
                from ..app.first_request import warm_up

                await self._or_stop(warm_up(self.config, lifespan.state))
            core.listen([(one.fileno(), one.wildcard and not one.admin, one.address) for one in self._listeners])
            self._announce()
            core.release_soon()
            await self._stop.requested
            self._log_reason()
            await delayed(core, self._stop, self.config.drain_delay)
            self._stop.begin()
            await self._drain(core, starter)
        finally:
            await self._cancel(starter.tasks.values())
            await self._shut(lifespan)

    async def _or_stop(self, coroutine):
        """Waits for the coroutine; a stop cancels it. Returns whether it has finished."""
        task = self._loop.create_task(coroutine)
        try:
            await asyncio.wait([task, self._stop.requested], return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = task.done()
            if not finished:
                await self._cancel([task])
        if finished:
            task.result()
        return finished

    def _announce(self):
        self.started = True
        log.info(log.startup_line(self._listeners, module(self.config).build_info()["flavour"]))
        if self.after_start is not None:
            self.after_start()
        if "NOTIFY_SOCKET" in os.environ:
            from ..process.notify import Notifier

            self.notifier = Notifier()
            self.notifier.ready()
            self.notifier.keep_alive(self._loop)
        if self._renewal is not None:
            self._renewal.served()

    def _log_reason(self):
        if self.notifier is not None:
            self.notifier.stopping()
        if self._stop.why is not None:  # otherwise an exception has been logged
            log.info(f"stopping: {self._stop.why}")

    async def _drain(self, core, starter):
        """Lets responses and tasks finish, until shutdown_timeout or a second stop."""
        self.started = False
        done = Drained(self._loop, core, starter)
        core.drain()
        await asyncio.sleep(0)  # one turn, which accepts the connections in the backlogs
        for listener in self._listeners:
            listener.close()
        await self._in_time(done.future, self.config.shutdown_timeout)
        done.detach()
        if not done.future.done() and is_busy(core, starter):
            self.graceful = False
            log.warning(f"{self._why_cut()}: requests in progress are cancelled: {len(starter.tasks)}")

    async def _shut(self, lifespan):
        task = self._loop.create_task(lifespan.shutdown())
        await self._in_time(task, self.config.lifespan_patience())
        if not task.done():
            self.graceful = False
            log.error(f"{self._why_cut()}: the app's lifespan shutdown is cancelled")
            await self._cancel([task])

    async def _cancel(self, tasks):
        going_on = await cancel_all(set(tasks) - self._uncancelled)
        if going_on:
            self.graceful = False
            self._uncancelled |= going_on
            log.error(f"tasks still running after their cancellation are abandoned: {len(going_on)}")

    async def _in_time(self, future, timeout):
        """Until the future or a second stop, or until the timeout; 0: none."""
        await asyncio.wait([future, self._stop.at_once], timeout=timeout or None, return_when=asyncio.FIRST_COMPLETED)

    def _why_cut(self):
        if self._stop.at_once.done():
            return "stop requested twice"
        return f"shutdown_timeout of {self.config.shutdown_timeout:g} s is over"

    def _new_core(self, guest):
        return new_core(self.config, self._core_options(guest))

    def _core_options(self, guest):
        return core_options(self.config, guest, sum(one.admin for one in self._listeners))
