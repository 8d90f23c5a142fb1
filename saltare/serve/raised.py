"""Exceptions that propagate through an event loop, past its tasks.

asyncio passes SystemExit and KeyboardInterrupt on to the caller of the loop. They must not cut other requests.
"""

import os
from asyncio import events
from functools import partial

from .. import cpython, log
from ..process.threads import place

ASYNCIO = os.path.join(os.path.dirname(events.__file__), "")


def log_stop(loop, error):
    """Logs that the server stops, and why. Keeps the loop from logging the same exception for its task."""
    steps = list(walk(error.__traceback__))
    of_app = [step for step in steps if not is_machinery(step.tb_frame.f_code.co_filename)]
    if of_app:
        error.with_traceback(of_app[0])
    log.error(f"the server stops: {what(error)}{where(steps, of_app)}", error if of_app else None)
    loop.set_exception_handler(partial(unless_of, error, loop.get_exception_handler()))


def what(error):
    if cpython.is_loop_stop(error):
        return "loop.stop() was called"
    return f"{log.one_line(error)} was raised"


def where(steps, of_app):
    if of_app:
        return place(of_app[-1].tb_frame, of_app[-1].tb_lineno)
    handles = [cpython.handle_in(step.tb_frame) for step in steps]
    return next((f" by {handle!r}" for handle in reversed(handles) if handle is not None), "")


def walk(step):
    while step is not None:
        yield step
        step = step.tb_next


def is_machinery(filename):
    return log.is_ours(filename) or filename.startswith((ASYNCIO, "uvloop/"))


def unless_of(error, handler, loop, context):
    """A loop's exception handler."""
    if context.get("exception") is not error:
        handler(loop, context) if handler else loop.default_exception_handler(context)
