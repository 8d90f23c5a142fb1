"""Apps that are in the middle of some work when their server is told to stop."""

import asyncio
import gc
import os
import sys
import time

# What an app does at start-up and shutdown, set by the environment, since the command line cannot pass it.
STARTUP, SHUTDOWN = os.environ.get("STARTUP", "complete"), os.environ.get("SHUTDOWN", "complete")


def say(text):
    print(text, file=sys.stderr, flush=True)


async def lifespan(receive, send):
    await receive()
    await phase("startup", STARTUP, send)
    await receive()
    say("lifespan shutdown begins")
    await phase("shutdown", SHUTDOWN, send)


async def phase(name, outcome, send):
    if outcome == "raise":
        raise RuntimeError(f"{name} goes wrong")
    if outcome == "hang":
        say(f"{name} hangs")
        await asyncio.sleep(3600)
    if outcome == "stubborn":
        await stubborn()
    if outcome == "slow":
        await asyncio.sleep(0.3)
        say(f"{name} took its time")
        outcome = "complete"
    if outcome == "pool":
        gc.set_threshold(0)  # nothing collects but who asks for it
        Leased()
        await POOL_WAS_GIVEN_BACK.wait()
        say("the pool has its connection again")
        outcome = "complete"
    message = {"message": f"{name} says no"} if outcome == "failed" else {}
    await send({"type": f"lifespan.{name}.{outcome}", **message})


POOL_WAS_GIVEN_BACK = asyncio.Event()


class Leased:
    """A connection of a pool, left in a cycle: it returns only when garbage is collected."""

    def __init__(self):
        self.cycle = self

    def __del__(self):
        POOL_WAS_GIVEN_BACK.set()


async def stubborn():
    """Ignores cancellation."""
    say("stubborn begins")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            say("stubborn was cancelled")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    what = scope["path"][1:]
    return await globals()[what](scope, receive, send)


async def start(send, kind=b"text/plain"):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})


async def piece(send, body, more=True):
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def quick(scope, receive, send):
    await start(send)
    await piece(send, b"quick", more=False)


async def slow(scope, receive, send):
    """Has started its response, and takes a while for the rest."""
    await start(send)
    await piece(send, b"begun ")
    await asyncio.sleep(0.5)
    await piece(send, b"ended", more=False)


async def silent(scope, receive, send):
    """Has not started its response yet."""
    say("silent begins")
    await asyncio.sleep(0.5)
    await start(send)
    await piece(send, b"ended", more=False)


async def stream(scope, receive, send):
    await start(send)
    for number in range(50):
        await piece(send, b"%d\n" % number)
        await asyncio.sleep(0.01)
    await piece(send, b"", more=False)


async def events(scope, receive, send):
    """An event stream that never ends by itself, and is cancelled by its disconnect as frameworks do."""
    await start(send, b"text/event-stream")

    async def endless():
        while True:
            await piece(send, b"data: x\n\n")
            await asyncio.sleep(0.01)

    sending = asyncio.ensure_future(endless())
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()


async def background(scope, receive, send):
    """Continues to work after its response."""
    await quick(scope, receive, send)
    await asyncio.sleep(0.7)
    say("background ends")


async def upload(scope, receive, send):
    size, more = 0, True
    say("upload begins")
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await start(send)
    await piece(send, b"%d" % size, more=False)


async def endless(scope, receive, send):
    await start(send)
    await piece(send, b"begun ")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        say("endless was cancelled")
        raise


async def unstoppable(scope, receive, send):
    await start(send)
    await piece(send, b"begun ")
    await stubborn()


async def thread(scope, receive, send):
    """A thread of the default executor that nothing can stop."""
    await start(send)
    await piece(send, b"begun ")
    await asyncio.to_thread(time.sleep, 3600)


async def blocking(scope, receive, send):
    """Blocks the loop."""
    await start(send)
    await piece(send, b"begun ")
    await asyncio.sleep(0.01)
    time.sleep(0.5)
    await piece(send, b"ended", more=False)
