"""Apps for third-party tools: profilers, patched loops, hooks. Each reports what it finds."""

import asyncio
import builtins
import json
import os
import sys
import threading
import time

PATCH = os.environ.get("PATCH", "")

if PATCH == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif PATCH == "uvloop":
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
elif PATCH == "own policy":

    class Policy(asyncio.DefaultEventLoopPolicy):
        pass

    asyncio.set_event_loop_policy(Policy())
elif PATCH == "nest_asyncio":
    import nest_asyncio

    nest_asyncio.apply()

green = 0  # how often a greenlet ran


def spin():
    global green
    while True:
        green += 1
        gevent.sleep(0.01)


if PATCH == "gevent":
    import gevent

    gevent.spawn(spin)


async def child():
    """A program that the app starts, waited for as asyncio does here."""
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "echo out; exit 7", stdout=-1)
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return [out.decode(), process.returncode]


async def nested():
    await asyncio.sleep(0)
    if PATCH != "nest_asyncio":
        return None
    return asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.01, "nested"))


async def spins(before):
    """Whether greenlets run beside the loop."""
    for _ in range(2000 if PATCH == "gevent" else 0):
        if green > before:
            return True
        await asyncio.sleep(0.01)
    return False


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan shutdown", file=sys.stderr, flush=True)
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] == "/hang":
        threading.Thread(target=hang, name="sleeper").start()
    if scope["path"] == "/burn":
        burn()
    before = green
    seen = {
        "child": await child(),
        "nested": await nested(),
        "in a thread": await asyncio.to_thread(work),
        "green": await spins(before),
        "hooked": getattr(builtins, "HOOKED", False),
        "path": sys.path,
        "argv": sys.argv,
        "loop": type(asyncio.get_running_loop()).__module__,
    }
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def work():
    return sum(range(10))


def burn():
    """Takes half a second of CPU time, for sampling profilers."""
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass


def hang():
    while True:
        time.sleep(60)
