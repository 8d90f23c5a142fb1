"""The lines of Python that have allocated the most memory (tracemalloc_path). Imported only where it is configured."""

import asyncio
import os
import tracemalloc

FRAMES = 25
LINES = 30
STACKS = 3


def begin():
    """Before the app is imported. Where tracing is on, it stays as it is."""
    if not tracemalloc.is_tracing():
        tracemalloc.start(FRAMES)


def traced(server):
    """The app of a server, with the path. On admin_bind, if there is one, only its listeners are asked for it."""
    config = server.config
    places = None
    if config.admin_bind is not None:
        places = [one.address for one in server._listeners if one.admin]
    return Traced(config.app, config.tracemalloc_path.encode(), places, server.number)


class Traced:
    """An ASGI app that answers requests for the path itself."""

    def __init__(self, app, path, places, number):
        self._app, self._path, self._places, self._number = app, path, places, number

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["raw_path"] != self._path or not self._is_place(scope["server"]):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "Method Not Allowed\n", (b"allow", b"GET, HEAD"))
        else:
            text = await asyncio.get_running_loop().run_in_executor(None, report, self._number)
            await answer(send, 200, text, (b"cache-control", b"no-store"))

    def _is_place(self, server):
        # The very object that the core has from us: a scope that a client or a proxy could influence has another.
        return self._places is None or any(server is one for one in self._places)


async def answer(send, status, text, field):
    body = text.encode("utf-8", "backslashreplace")
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), field]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def report(number):
    """In a thread, because it takes long: about a second for a million blocks."""
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
    now, peak = tracemalloc.get_traced_memory()
    tracing = tracemalloc.get_tracemalloc_memory()
    of = f"worker {number} (pid {os.getpid()})" if number else f"pid {os.getpid()}"
    lines = [
        f"{of}: {size(now)} of Python objects, at most {size(peak)}; {size(tracing)} for tracing",
        "",
        "      size   blocks  line",
    ]
    lines += [
        f"{size(one.size):>10} {one.count:>8}  {place(one.traceback[-1])}"
        for one in snapshot.statistics("lineno")[:LINES]
    ]
    for one in snapshot.statistics("traceback")[:STACKS]:
        lines += ["", f"{size(one.size)} in {one.count} blocks, most recent call last:"]
        lines += [f"    {place(frame)}" for frame in one.traceback]
    return "\n".join(lines) + "\n"


def place(frame):
    return f"{frame.filename}:{frame.lineno}"


def size(count):
    return f"{count / (1 << 20):.1f} MiB" if count >= 1 << 20 else f"{count / (1 << 10):.1f} KiB"
