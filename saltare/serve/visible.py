"""What libraries find behind the handler of a signal to stop: they expect uvicorn's server.

sse-starlette, and so MCP servers, end their streams when a stop begins. Recent versions look for `should_exit` on the
object whose method handles SIGTERM; older ones replace `uvicorn.Server.handle_exit`, which nobody would call.
"""

import sys

from .. import log

UNCHANGED = (None, "uvicorn.server", "saltare.compat.server")  # where uvicorn's handle_exit and ours come from


class Visible:
    """The object with that method. Its `handle_exit` also does what the loop's own handler did."""

    def __init__(self, stopping, formers):
        self._stopping, self._formers = stopping, formers
        self._signalled = False
        self.force_exit = False
        self._captured_signals = []  # uvicorn's handle_exit adds to it

    @property
    def should_exit(self):
        return self._signalled or self._stopping()

    @should_exit.setter
    def should_exit(self, wanted):
        """uvicorn's handle_exit sets it; the server stops by the signal all the same."""

    def handle_exit(self, number, frame):
        self._signalled = True
        replacement = replaced_handler()
        if replacement is not None:
            try:
                replacement(self, number, frame)
            except Exception as error:
                log.error("what a library has put in the place of uvicorn.Server.handle_exit failed", error)
        former = self._formers.get(number)
        if callable(former):
            former(number, frame)


def replaced_handler():
    """What a library has put in the place of `uvicorn.Server.handle_exit`, if uvicorn is loaded; otherwise None."""
    server = getattr(sys.modules.get("uvicorn.server"), "Server", None)
    handler = getattr(server, "handle_exit", None)
    return None if getattr(handler, "__module__", None) in UNCHANGED else handler
