"""The drain of a stopping server: the work in progress and its deadline."""

import asyncio
import signal
import time

from .. import log
from ..app.lifespan import resolve
from ..app.scope import IGNORED_AT_STOP
from ..process.ending import FOR_EVER, QUIET

LEFT = []  # tasks that wait for threads still running after a stop; kept here, since dropping one does not end its wait
CLEAN_UP = 1.0  # seconds that a cancelled task has to end; an app must not be able to block the stop


async def delayed(core, stop, delay):
    """Goes on serving for so many seconds after a SIGTERM, while health answers say that a stop is to come."""
    core.unready()
    if delay and stop.why == signal.SIGTERM.name:
        log.info(f"serving on for a drain_delay of {delay:g} s")
        await asyncio.wait([stop.at_once], timeout=delay)


class Drained:
    """A future that is done when no connection is open and no task of the app runs."""

    def __init__(self, loop, core, starter):
        self.future = loop.create_future()
        self._core, self._starter = core, starter
        self._empty = False
        core.on_empty, starter.on_idle = self._on_empty, self._on_idle
        core.ignored_most = min(core.ignored_most, IGNORED_AT_STOP)

    def _on_empty(self):
        self._empty = True
        self._on_idle()

    def _on_idle(self):
        if self._empty and not self._starter.tasks:
            resolve(self.future)

    def detach(self):
        del self._starter.on_idle
        del self._core.on_empty


def is_busy(core, starter):
    """Whether anything is in progress, other than idle connections."""
    figures = core.stats()
    return bool(starter.tasks or figures["streams"] or figures["unsent"])


async def cancel_all(tasks):
    """Cancels the tasks and gives them time to clean up; returns the set of those still running."""
    for task in tasks:
        task.cancel()
    return (await asyncio.wait(tasks, timeout=CLEAN_UP))[1] if tasks else set()


async def executor_ended(loop, until, at_once, why_cut):
    """Waits for the threads of the loop's executor until `until` (time.monotonic), or until the future `at_once` is
    done. Returns whether they have ended; logs the others, and why they are not waited for.
    """
    task = loop.create_task(loop.shutdown_default_executor())
    await done_by(task, min(until, time.monotonic() + QUIET), at_once)
    if task.done():
        return True
    try:
        from ..process.threads import described, executor_threads, log_abandoned
    except (OSError, ImportError) as error:  # no descriptor left, for example, or the package being replaced
        LEFT.append(task)
        log.error(f"cannot wait for threads that have not ended: {error}")
        return False
    threads = executor_threads(loop)
    if time.monotonic() < until and not at_once.done():
        log.info(f"waiting for threads that have not ended: {described(threads)}")
        await done_by(task, until, at_once)
    if task.done():
        return True
    LEFT.append(task)
    log_abandoned(threads, why_cut())
    return False


async def done_by(task, when, at_once):
    timeout = None if when == FOR_EVER else max(0, when - time.monotonic())
    await asyncio.wait([task, at_once], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
