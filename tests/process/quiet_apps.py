"""An app for signals that mean nothing to a server; OWN selects what the app does with them itself."""

import asyncio
import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

QUIET = (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2)


def note(number, frame):
    os.write(2, b"handler of %d\n" % number)


if os.environ.get("OWN") == "python":
    for one in (*QUIET, signal.SIGQUIT):
        signal.signal(one, note)
if os.environ.get("OWN") == "faulthandler":
    for one in (signal.SIGUSR1, signal.SIGQUIT):
        faulthandler.register(one)
if os.environ.get("IMPORT_WAITS"):
    Path("importing").touch()
    while Path("importing").exists():
        time.sleep(0.002)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.environ.get("STARTUP_WAITS"):
            Path(f"starting-{os.getpid()}").touch()
            while Path(f"starting-{os.getpid()}").exists():
                await asyncio.sleep(0.002)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    name, _, argument = scope["path"][1:].partition("/")
    body = await globals()[name or "pid"](argument)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def pid(_):
    return b"%d" % os.getpid()


async def sleeps(seconds):
    Path("asked").touch()
    await asyncio.sleep(float(seconds))
    return b"slept"


def masks(status):
    """The relevant signals that a process blocks or ignores."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    found = int(fields["SigBlk"], 16) | int(fields["SigIgn"], 16)
    return [int(one) for one in (*QUIET, signal.SIGQUIT, signal.SIGHUP) if found >> (one - 1) & 1]


async def program(_):
    """A program that the app starts inherits none of it."""
    return repr(masks(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout)).encode()


async def forked(number):
    """How a signal ends a child that the app forks."""
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), int(number))
        time.sleep(0.2)
        os._exit(0)
    return b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, os.WUNTRACED)[1])


if __name__ == "__main__":
    import saltare

    def handlers():
        return [signal.getsignal(number) for number in range(1, signal.NSIG)]

    before = handlers()
    saltare.run(app, port=0, **eval(sys.argv[1]))
    assert handlers() == before
    print("as before")
