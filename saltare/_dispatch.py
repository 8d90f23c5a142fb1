"""Starts the app on a request and sees to how it ends: per request."""

import sys
from asyncio import CancelledError, Task

from . import _logging
from .errors import ClientDisconnected

EAGER = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Dispatcher:
    """What the core calls for each request. `tasks` has the app's tasks by exchange, until the app returns."""

    def __init__(self, app, loop):
        self.app, self.loop = app, loop
        self.tasks = {}
        self.on_idle = None  # called when the last task has ended

    def dispatch(self, exchange, scope):
        """Runs the app in a task of its own; from 3.12 on at once, up to its first wait."""
        loop = self.loop
        coroutine = self.run(exchange, scope)
        if loop.get_task_factory() is None:
            task = Task(coroutine, loop=loop, name="request", **EAGER)
        else:
            task = loop.create_task(coroutine)
        if not task.done():
            self.tasks[exchange] = task

    async def run(self, exchange, scope):
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            self.failed(exchange, scope, error)
            if isinstance(error, (CancelledError, KeyboardInterrupt)):
                raise
        else:
            if not exchange.complete:
                self.incomplete(exchange, scope)
        finally:
            self.tasks.pop(exchange, None)
            if self.on_idle is not None and not self.tasks:
                self.on_idle()

    def failed(self, exchange, scope, error):
        gone = exchange.gone
        exchange.fail()
        if isinstance(error, CancelledError):
            _logging.warning(f"cancelled: {described(scope)}")
        elif gone and is_disconnect(error):
            _logging.debug(f"the peer of {described(scope)} has gone: {type(error).__name__}")
        else:
            _logging.error(f"exception in the app: {described(scope)}", error)

    def incomplete(self, exchange, scope):
        if exchange.gone:
            return
        what = "its answer incomplete" if exchange.started else "no answer"
        exchange.fail()
        _logging.error(f"the app returned with {what}: {described(scope)}")


def described(scope):
    return f"{scope['method']} {scope['path']!a}"


def is_disconnect(error):
    """Whether the error comes of `send()` having raised ClientDisconnected."""
    seen = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, ClientDisconnected):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return False
