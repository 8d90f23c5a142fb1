"""Serves in an interpreter that is not ours alone, which another program has started or a tool watches."""

import os
import time

from .. import cpython, log
from ..process.ending import BRIEF, finish
from ..process.threads import Waiter
from .run import configure_log, master, needs_master, serve


def serve_here(config, why, ends_after):
    """Serves as `saltare.run` does, which changes nothing in the interpreter, and returns the exit code. `why`: what
    rules out a clean interpreter; `ends_after`: whether the program then ends, except for tools that watch it.
    """
    import threading

    theirs = cpython.lasting_threads(threading)
    code, until, _ = serve(config, lambda: guest_server(config, why))
    code = 128 - code if code < 0 else code
    if ends_after:
        finish_later(code, until, theirs)
    return code


def guest_server(config, why):
    configure_log(config)
    log.debug(f"saltare serves in the interpreter that it was started in: {why}")
    if needs_master(config):
        return master(config, command_line=False)
    from ..serve.server import Server

    server = Server(config)
    server.why_here = why
    return server


def finish_later(code, until, theirs):
    """The same for a shared interpreter, when it ends. By default it waits for all threads without a limit; now only
    for `theirs`, those that existed before us.
    """
    wait = cpython.threads_shutdown()
    waiter = Waiter(wait)  # now, because CPython 3.12 starts no threads at its end

    def shutdown():
        cpython.set_threads_shutdown(wait)
        for thread in theirs:
            thread.join()
        true_code, alone = finish(code, max(until, time.monotonic() + BRIEF), waiter=waiter)
        if not alone:
            os._exit(true_code)

    cpython.set_threads_shutdown(shutdown)
