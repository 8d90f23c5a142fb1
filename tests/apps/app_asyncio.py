"""An app that uses many features of its loop: each path runs the case of that name."""

import asyncio
import json
import os
import signal
import sys
import time

import cases_processes  # noqa: F401
import cases_sockets  # noqa: F401
import cases_tasks  # noqa: F401
from app_asgi import answer
from cases import CASES, RESULTS, case


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    query = scope["query_string"].decode()
    run = CASES[scope["path"].strip("/")]
    result = await run(query) if run.__code__.co_argcount else await run()
    await answer(send, json.dumps(result).encode())
    return None


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    RESULTS.update(received=[], mailbox=asyncio.Queue())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, RESULTS["received"].append, "SIGUSR1 by the loop")
    signal.signal(signal.SIGUSR2, lambda number, frame: RESULTS["received"].append("SIGUSR2 by Python"))
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    print("lifespan shutdown ran", file=sys.stderr, flush=True)
    await send({"type": "lifespan.shutdown.complete"})


# --- the loop and signals


@case
async def loop_name():
    return type(asyncio.get_running_loop()).__module__.split(".")[0]


@case
async def signals():
    received = RESULTS["received"]
    received.clear()
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while len(received) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.002)
    return sorted(received)


@case
async def received_signals():
    return sorted(RESULTS["received"])


@case
async def exception_handler():
    loop = asyncio.get_running_loop()
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(str(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.001)
    loop.set_exception_handler(None)
    return seen


@case
async def busy():
    """Blocks the loop, as a faulty app does."""
    time.sleep(0.2)
