"""Apps for several workers; each function is a request."""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

IMPORTED_BY = os.getpid()
MARKS = Path(os.environ.get("MARKS", "/nonexistent"))  # a folder for notes about imports and start-ups
KEPT = []  # what `grow` adds to the process


def note(what):
    if MARKS.is_dir():
        (MARKS / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()


def notes(what):
    return len(list(MARKS.glob(f"{what}-*")))


note("import")

if "THREAD" in os.environ:
    threading.Thread(target=time.sleep, args=[3600], name="of-the-app", daemon=True).start()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    what, _, argument = scope["path"][1:].partition("/")
    body = await globals()[what](argument)
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    await receive()
    note("startup")
    await begin(os.environ.get("STARTUP", ""), send)
    await receive()
    note("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


async def begin(way, send):
    """STARTUP selects what happens at start-up; with ",N" only from the N-th worker to start on."""
    way, _, since = way.partition(",")
    if way and notes("startup") >= int(since or 1):
        await globals()[f"startup_{way}"](send)
    await send({"type": "lifespan.startup.complete"})


async def startup_fails(send):
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})
    await asyncio.sleep(3600)


async def startup_hangs(send):
    await asyncio.sleep(3600)


async def startup_raises(send):
    raise RuntimeError("start-up goes wrong")


async def startup_leaves(send):
    os._exit(7)


async def pid(_):
    return b"%d" % os.getpid()


async def where(_):
    """What this process is, and what it has inherited from the master."""
    return json.dumps(
        {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "imported_by": IMPORTED_BY,
            "threads": [one.name for one in threading.enumerate()],
            "passed": [name for name in os.environ if name.startswith(("LISTEN_", "_SALTARE"))],
            "frozen": gc.get_freeze_count(),
            "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
            "wakeup": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        }
    ).encode()


async def sleeps(seconds):
    """A slow response; the loop continues."""
    await asyncio.sleep(float(seconds))
    return await pid("")


async def blocks(seconds):
    """A handler that blocks the loop."""
    note("blocks")
    time.sleep(float(seconds))
    return await pid("")


async def exits(code):
    sys.exit(int(code))


async def leaves(code):
    os._exit(int(code))


async def segfaults(_):
    ctypes.string_at(0)


async def is_killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


async def grow(mib):
    KEPT.append(b"x" * (int(mib) << 20))
    return await pid("")


async def starts_child(way):
    """A child that outlives the server; the response is its pid."""
    return b"%d" % await asyncio.to_thread(CHILDREN[way]) if way in IN_A_THREAD else b"%d" % CHILDREN[way]()


def forked():
    """The thread runs when this returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, b"!")
            time.sleep(60)
        finally:
            os._exit(0)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return child


def program():
    import subprocess

    return subprocess.Popen(["sleep", "60"]).pid


def spawned():
    return os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)


def process_of(method):
    import multiprocessing

    process = multiprocessing.get_context(method).Process(target=time.sleep, args=[60], daemon=False)
    process.start()
    KEPT.append(process)
    return process.pid


CHILDREN = {
    "fork": forked,
    "subprocess": program,
    "posix_spawn": spawned,
    "multiprocessing-fork": lambda: process_of("fork"),
    "multiprocessing-forkserver": lambda: process_of("forkserver"),
    "multiprocessing-spawn": lambda: process_of("spawn"),
}
IN_A_THREAD = ("subprocess",)
